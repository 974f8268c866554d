"""The values that every form of input becomes, and what comes back for each. Pure.

An `Item` is one question: either a `Recipe`, whose body is made from picture files at the moment it is asked (so that
ten thousand of them are ten thousand names, not ten thousand pictures), or `Posted`, a body as a client would send it.
"""

import hashlib
from dataclasses import asdict, dataclass, field

from cache.keys import canonical
from gateway.batchlines import BadLine
from gateway.question import Object


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question about pictures: paths, http(s) URLs or data URLs, in order."""

    pictures: tuple[str, ...]
    prompt: str
    system: str | None = None
    model: str | None = None
    parameters: Object = field(default_factory=dict)  # as they stand in the request's body: temperature, max_tokens


@dataclass(frozen=True, slots=True)
class Posted:
    """What would be posted to `path`."""

    path: str
    body: Object


@dataclass(frozen=True, slots=True)
class Item:
    """One question. No two of an input have one `id`; `line` counts from 1 and is for words to people."""

    id: str
    line: int
    asks: Recipe | Posted
    answer: str | None = field(default=None, repr=False)  # where it is known already

    def mark(self, how: bytes) -> bytes:
        """A digest of what is asked. `how` is that of everything that is not in the item, such as a template."""
        asks = canonical({type(self.asks).__name__: asdict(self.asks)})
        return hashlib.blake2b(asks, digest_size=16, key=how[:64]).digest()


Read = Item | BadLine


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whoever gave it. `cache` is exact, pixel or near for a hit, else miss or bypass."""

    cache: str
    reason: str | None  # why it was no hit, in one word of docs/reasons.md
    status: int
    request_id: str
    model: str
    seconds: float
    tokens_in: int | None
    tokens_out: int | None
    body: bytes = field(repr=False)

    @property
    def hit(self) -> bool:
        return self.cache not in ("miss", "bypass")


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer, after every attempt. `status` is None where no reply came at all."""

    code: str
    message: str
    status: int | None = None
    body: bytes = field(default=b"", repr=False)


Result = Answer | Failure


class BadInput(Exception):
    """What was given cannot work; nothing was asked. The message says what to do."""


class GaveUp(Exception):
    """To go on would only fail for every question that is left. The message says why."""


class Refused(GaveUp):
    """The key is refused, which nobody will mend meanwhile. `failure` is what came."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"the key is refused (status {failure.status}): {failure.message}")
        self.failure = failure

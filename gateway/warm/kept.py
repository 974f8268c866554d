"""Whether the cache has what it was asked, and in one word why not.

A reply does not say whether it is stored: its head leaves before. Asked once more with `only-if-cached` (RFC 9111,
section 5.2.1.7), a gateway tells whether it has an answer, and asks no model.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import anyio.to_thread

from cache.verdict import Doubt
from gateway import capture, pictures, spelling
from gateway.bulk.ask import Asker
from gateway.bulk.items import Answer, Failure, Item, Result
from gateway.capture import Answered
from gateway.dialects import claim
from gateway.question import Bypass, Call, NotCacheable, Unstored

ONLY_IF_CACHED: Final = {"cache-control": "only-if-cached"}
NOT_KEPT: Final = "not-kept"  # the code of a failure: answered, and no later question will find the answer
# The words of NotInCache (plan.py), in whichever error body they come.
_MISSING: Final = re.compile(r"only-if-cached was asked for, and there is no stored answer \(([a-z-]+)\)")
# The gateway did not look, or does not tell what it saw.
_UNTOLD: Final = {Bypass.CACHE_SLOW, Bypass.CACHE_FAULT, Bypass.MODEL_CHANGING, Doubt.KEY_UNVERIFIED}
_NOT_STORED: Final = "not-stored"  # for a reason that only the gateway knows


def is_missing(reply: Result) -> bool:
    """Whether there is nothing for a question, by the reply to it with ONLY_IF_CACHED. In doubt there is."""
    found = _MISSING.search(reply.message) if isinstance(reply, Failure) else None
    return found is not None and found[1] not in _UNTOLD


def why_missing(path: str, body: bytes, answer: bytes, pixels_max: int) -> str:
    """Why the answer to a question was not kept, as far as the two of them tell. Blocking: it decodes the pictures."""
    dialect = claim("POST", path)
    if dialect is None:
        return Bypass.NO_DIALECT.value
    try:
        question = dialect.parse(Call(path, "", {}, body, ""))
        for spelt in (ref for ref in question.pictures if not spelling.is_on_the_web(ref)):
            picture = spelling.load(spelt)
            pictures.size(picture, pixels_max)
            pictures.decoded(picture)
    except NotCacheable as refusal:
        return refusal.why.value
    answered = Answered(200, (), answer, complete=True, too_large=False, seconds=0.0)
    read = capture.read(dialect, question, answered, len(answer))
    return read.value if isinstance(read, Unstored) else _NOT_STORED


@dataclass(frozen=True, slots=True)
class Check:
    """Looks an answered question up as its client would."""

    ask: Asker
    compose: Callable[[Item], Awaitable[tuple[str, bytes] | Failure]]
    pixels_max: int

    async def __call__(self, item: Item, answer: Answer) -> Result:
        """The answer, or NOT_KEPT with the reason. Raises Stopped, GaveUp."""
        if answer.cache == "bypass":
            return Failure(NOT_KEPT, answer.reason or answer.cache, answer.status)
        composed = await self.compose(item)
        if isinstance(composed, Failure) or not is_missing(await self._look_up(*composed)):
            return answer
        path, body = composed
        why = await anyio.to_thread.run_sync(why_missing, path, body, answer.body, self.pixels_max)
        return Failure(NOT_KEPT, why, answer.status)

    async def _look_up(self, path: str, body: bytes) -> Result:
        # A wish for a fresh answer was for the first time.
        kept = tuple(field for field in self.ask.headers if field[0].lower() not in ("cache-control", "pragma"))
        return await replace(self.ask, retries=0, headers=(*kept, *ONLY_IF_CACHED.items()))(path, body)

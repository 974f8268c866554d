"""The product's own lookup (cache/lookup.py over a memory store), asked about one picture at a time."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from benchmarks.fidelity.methods import Asked, Kept
from cache import keys, lookup
from cache.entry import Entry, Record, Vectors
from cache.guard import View
from cache.lookup import Embedded, Exact, Miss, Near, Pixel, Rung, Terms
from cache.stores.memory import MemoryStore
from cache.verdict import Verdict
from embeddings.base import Embedder

_SCOPE = keys.Scope("nobody", "openai", "http://upstream", "/v1", "model", ())
_QUESTION = "What is this?"
_BYTES_MAX = 1 << 40


class Judge:
    """The guard about one asked picture. Each stored picture is compared once, however often it is asked about."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._known: dict[int, tuple[Verdict, float]] = {}

    def verdict(self, evidence: bytes) -> tuple[Verdict, float]:
        """The verdict, and the milliseconds it took with decoding the evidence."""
        if id(evidence) not in self._known:
            began = time.perf_counter()
            (verdict,) = lookup.compare((evidence,), (self.view,))
            self._known[id(evidence)] = verdict, 1000 * (time.perf_counter() - began)
        return self._known[id(evidence)]

    async def work(self, comparing: Callable[[], list[Verdict]]) -> list[Verdict]:
        """The `work` of the ladder: what it wants to run is `partial(compare, evidence, views)`."""
        assert isinstance(comparing, partial)
        (evidence,) = comparing.args[0]
        return [self.verdict(evidence)[0]]


class Ladder:
    """One entry for each stored picture, all with one question."""

    def __init__(self, kept: Iterable[Kept], name: str, embedder: Embedder) -> None:
        self._name, self._embedder = name, embedder
        self._runner = asyncio.Runner()
        self._store = MemoryStore(lambda: 0.0, _BYTES_MAX)
        for picture in kept:
            self._runner.run(self._store.put(self._record(picture)))

    def __enter__(self) -> "Ladder":
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def find(self, asked: Asked, judge: Judge) -> str | None:
        """The name of the stored picture whose answer would be served."""
        looks = _Looks(asked, self._name, self._embedder)
        terms = Terms(Rung.NEAR, 0.0, lambda entry: None)
        question = keys.ask(_SCOPE, _QUESTION, ["a file never seen"])
        match self._runner.run(lookup.climb(self._store, question, looks, terms, judge.work)):
            case Exact(entry) | Pixel(entry) | Near(entry):
                return entry.id
            case Miss():
                return None

    def _record(self, picture: Kept) -> Record:
        question = keys.ask(_SCOPE, _QUESTION, [picture.name])
        entry = Entry(
            id=picture.name,
            partition=question.partition,
            exact=question.exact,
            pixel=question.pixel([picture.signs.pixels]),
            dialect=_SCOPE.dialect,
            model=_SCOPE.model,
            created_s=0.0,
            expires_s=1.0,
            upstream_s=1.0,
            tokens_in=None,
            tokens_out=None,
            streamed=False,
            space=self._embedder.space.key,
            sizes=(picture.signs.size,),
        )
        return Record(entry, b"an answer", picture.signs.vectors[self._name][None], (picture.evidence,))


class _Looks:
    """What is known of the asked picture already, as the ladder asks for it."""

    def __init__(self, asked: Asked, name: str, embedder: Embedder) -> None:
        self._asked, self._embedder = asked, embedder
        self._vectors: Vectors = asked.signs.vectors[name][None]

    async def sizes(self) -> lookup.Sizes:
        return (self._asked.signs.size,)

    async def pixels(self) -> tuple[str, ...]:
        return (self._asked.signs.pixels,)

    async def views(self) -> tuple[View, ...]:
        return (self._asked.view,)

    async def embedded(self) -> Embedded | None:
        return Embedded(self._embedder.space.key, self._vectors, self._embedder.threshold)

"""The ladder of identity, climbed top to bottom in one place: exact, pixel, near and verified, or a miss.

Each rung costs more than the one before, so `Looks` computes what a rung needs only when it is reached.
Faults are raised (`CacheFault`, or whatever an embedder raises); gateway/plan.py makes a miss of them.
"""

import math
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Protocol

import anyio

from cache import guard
from cache.entry import Entry, Vectors
from cache.keys import Asked
from cache.stores.base import Candidate
from cache.verdict import Different, Doubt, Same, Verdict

Sizes = tuple[tuple[int, int], ...]
Work = Callable[[Callable[[], list[Verdict]]], Awaitable[list[Verdict]]]
Stage = Callable[[str], AbstractContextManager[None]]  # for who wants to time what goes by this name


def untimed(name: str) -> AbstractContextManager[None]:
    return nullcontext()


def never(entry: Entry) -> bool:
    return False


class Rung(IntEnum):
    """How far a lookup may climb."""

    EXACT = 1
    PIXEL = 2
    NEAR = 3


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms an answer may be served. `fit` says what is against an entry, or None; an entry that is `over`
    is passed by as if it were gone."""

    highest: Rung
    floor: float  # cosine that the embedder's threshold is raised to; 0 leaves it
    fit: Callable[[Entry], Doubt | None]
    embed_timeout_s: float = math.inf
    guard_limit: float = math.inf  # the guard's score up to which two pictures count as one; inf: the guard's own
    stage: Stage = untimed
    over: Callable[[Entry], bool] = never


@dataclass(frozen=True, slots=True)
class Exact:
    entry: Entry
    reply: bytes


@dataclass(frozen=True, slots=True)
class Pixel:
    entry: Entry
    reply: bytes


@dataclass(frozen=True, slots=True)
class Near:
    entry: Entry
    reply: bytes
    similarity: float  # lowest cosine over the pictures
    score: float  # the guard's, highest over the pictures


@dataclass(frozen=True, slots=True)
class Refused:
    """The nearest entry that was nominated, and why it was not served."""

    entry: Entry
    similarity: float
    verdict: Different


@dataclass(frozen=True, slots=True)
class Miss:
    doubt: Doubt
    similarity: float | None = None  # of the nearest entry that was nominated and refused
    refused: Refused | None = field(default=None, compare=False, repr=False)  # shown to people; decides nothing


Hit = Exact | Pixel | Near
Found = Hit | Miss


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors with the space they live in, and the cosine that nominates in that space."""

    space: str
    vectors: Vectors
    threshold: float


class Looks(Protocol):
    """What the asked pictures look like, each step dearer than the one before and done at most once."""

    async def sizes(self) -> Sizes: ...
    async def pixels(self) -> tuple[str, ...]: ...
    async def views(self) -> tuple[guard.View, ...]: ...
    async def embedded(self) -> Embedded | None:
        """None while the embedder is not ready."""
        ...


class Shelf(Protocol):
    """What the ladder is climbed over: a store (stores/base.py says what each method gives), or what is in flight."""

    async def asked(self, partition: str) -> bool: ...
    async def exact(self, key: str) -> Entry | None: ...
    async def sized(self, partition: str, sizes: Sizes) -> bool: ...
    async def pixel(self, key: str) -> Entry | None: ...
    async def nearest(
        self, partition: str, space: str, vectors: Vectors, floor: float, most: int
    ) -> list[Candidate]: ...
    async def evidence(self, entry_id: str) -> tuple[bytes, ...]: ...
    async def reply(self, entry_id: str) -> bytes | None: ...
    async def parted(self, keys: Collection[str]) -> frozenset[str]: ...


# The nearest first: what the first two do not prove, the third has never been seen to.
_CANDIDATES_MOST = 5
_VERIFIED_MOST = 2


async def climb(store: Shelf, asked: Asked, looks: Looks, terms: Terms, work: Work) -> Found:
    """The first rung that holds. `work` runs the guard where it does not hold up the event loop."""
    doubts: list[Doubt] = []
    found = await store.exact(asked.exact)
    exact = _living(found, terms)
    if exact and (reply := await _reply(store, exact, terms, doubts)):
        return Exact(exact, reply)
    if not await store.asked(asked.partition):
        return Miss(Doubt.FIRST_ASKED)
    over = found is not None and exact is None
    if terms.highest < Rung.PIXEL:
        return Miss(doubts[0] if doubts else Doubt.STALE if over else Doubt.RUNG_FORBIDDEN)

    if await store.sized(asked.partition, await looks.sizes()):
        found = await store.pixel(asked.pixel(await looks.pixels()))
        pixel = _living(found, terms)
        if pixel and (reply := await _reply(store, pixel, terms, doubts)):
            return Pixel(pixel, reply)
        over = over or (found is not None and pixel is None)
    if doubts:  # these very pictures are stored, and this caller may not have the answer
        return Miss(doubts[0])
    if terms.highest < Rung.NEAR:
        return Miss(Doubt.STALE if over else Doubt.RUNG_FORBIDDEN)

    near = await _near(store, asked, looks, terms, work)
    return Miss(Doubt.STALE) if over and near == Miss(Doubt.NEW_PICTURE) else near


def _living(entry: Entry | None, terms: Terms) -> Entry | None:
    return None if entry is None or terms.over(entry) else entry


async def _near(store: Shelf, asked: Asked, looks: Looks, terms: Terms, work: Work) -> Found:
    if not await looks.views():
        return Miss(Doubt.NO_PLAIN_VIEW)
    embedded: Embedded | None = None
    with anyio.move_on_after(terms.embed_timeout_s) as waited:
        embedded = await looks.embedded()
    if embedded is None:
        return Miss(Doubt.EMBEDDER_BUSY if waited.cancelled_caught else Doubt.EMBEDDER_NOT_READY)
    refusals: list[Miss] = []
    with terms.stage("search"):
        candidates = await nominate(store, asked, embedded, threshold(embedded, terms), terms)
    for candidate in candidates:
        match await weigh(store, candidate.entry, asked, looks, terms, work):
            case Different(doubt) as verdict:
                refused = Refused(candidate.entry, candidate.similarity, verdict)
                refusals.append(Miss(doubt, candidate.similarity, refused))
            case Same(score):
                if reply := await store.reply(candidate.entry.id):
                    return Near(candidate.entry, reply, candidate.similarity, score)
    return refusals[0] if refusals else Miss(Doubt.NEW_PICTURE)


def threshold(embedded: Embedded, terms: Terms) -> float:
    """The cosine in force."""
    return max(embedded.threshold, terms.floor)


async def nominate(store: Shelf, asked: Asked, embedded: Embedded, floor: float, terms: Terms) -> list[Candidate]:
    """Those that are worth the guard's time, the nearest first."""
    found = await store.nearest(asked.partition, embedded.space, embedded.vectors, floor, _CANDIDATES_MOST)
    return [candidate for candidate in found if not terms.over(candidate.entry)][:_VERIFIED_MOST]


async def weigh(store: Shelf, entry: Entry, asked: Asked, looks: Looks, terms: Terms, work: Work) -> Verdict:
    """Whether these are the entry's pictures, and nothing is against giving this caller its answer."""
    if doubt := terms.fit(entry):
        return Different(doubt)
    if await _judged_wrong(store, entry, asked, looks):
        return Different(Doubt.JUDGED_WRONG)
    views = await looks.views()
    with terms.stage("guard"):
        evidence = await store.evidence(entry.id)
        verdict = _overall(await work(partial(compare, evidence, views)))
    match verdict:
        case Same(score) if score > terms.guard_limit:
            return Different(Doubt.GUARD_LIMIT, score)
        case _:
            return verdict


async def _judged_wrong(store: Shelf, entry: Entry, asked: Asked, looks: Looks) -> bool:
    """Whether a person said that one of these two was wrongly answered with the other's answer."""
    others = await store.parted((entry.exact, entry.pixel))
    return bool(others) and not others.isdisjoint((asked.exact, asked.pixel(await looks.pixels())))


def compare(evidence: tuple[bytes, ...], views: tuple[guard.View, ...]) -> list[Verdict]:
    """The guard's verdict on each picture, in order, up to the first that is different. Pure."""
    if len(evidence) != len(views):
        return [Different(Doubt.NEW_PICTURE)]
    verdicts: list[Verdict] = []
    for stored, view in zip(evidence, views, strict=True):
        verdicts.append(guard.compare(guard.decode(stored), view))
        if isinstance(verdicts[-1], Different):
            break
    return verdicts


def _overall(verdicts: list[Verdict]) -> Verdict:
    refused = next((verdict for verdict in verdicts if isinstance(verdict, Different)), None)
    return refused or Same(max((verdict.score or 0.0 for verdict in verdicts), default=0.0))


async def _reply(store: Shelf, entry: Entry, terms: Terms, doubts: list[Doubt]) -> bytes | None:
    if doubt := terms.fit(entry):
        doubts.append(doubt)
        return None
    return await store.reply(entry.id)

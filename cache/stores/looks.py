"""What pictures look like, in memory alone: vectors and evidence of stored answers, within a number of bytes that
tenants share as they do the store (shares.py).

Nothing here is ever written. Belongs to the event loop, but for the vectors, which have a thread of their own.
"""

import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from cache.entry import Entry, Record, Vectors
from cache.errors import StoreFault
from cache.stores.base import Candidate, Resembling
from cache.stores.shares import Shares, Stake
from cache.stores.vectors import Group, VectorIndex, group_of, one_thread_each

log = logging.getLogger(__name__)

# What an entry costs beside its evidence and numbers: a shelf of its own in FAISS, and its place in every map.
OVERHEAD_BYTES = 4_000


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The looks of one entry's pictures. `entry` is as it was put: the one on disk knows no space."""

    entry: Entry
    evidence: tuple[bytes, ...]
    number: int  # its vectors' number
    group: Group | None  # where they are; None if it has none
    weight: int


class Looks:
    """By entry id. Of the tenant that holds most, the least recently used leave first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: dict[str, Look] = {}
        self._shares = Shares()
        self._numbered: dict[int, Look] = {}
        self._numbers = 0
        self._vectors = VectorIndex()
        self._searcher = ThreadPoolExecutor(1, "looks", initializer=one_thread_each)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        return self._shares.bytes

    def get(self, entry_id: str) -> Look | None:
        return self._held.get(entry_id)

    def add(self, record: Record) -> None:
        """Hold what the record shows; nothing if it shows nothing, or alone exceeds the budget."""
        entry, vectors = record.entry, record.vectors
        self.drop(entry.id)
        shown = sum(map(len, record.evidence)) + (0 if vectors is None else vectors.nbytes)
        weight = shown + OVERHEAD_BYTES
        if not shown or weight > self._bytes_max:
            return
        group = None
        if vectors is not None and entry.space is not None:
            group = group_of(entry.partition, entry.space, vectors)
            self._in_passing(partial(self._vectors.add, group, [self._numbers], [vectors]))
        look = Look(entry, record.evidence, self._numbers, group, weight)
        self._held[entry.id] = self._numbered[look.number] = look
        self._numbers += 1
        self._shares.add(Stake(entry.id, entry.tenant, weight))
        for surplus in self._shares.surplus(self._bytes_max):
            self.drop(surplus)

    def drop(self, entry_id: str) -> None:
        look = self._held.pop(entry_id, None)
        if look is None:
            return
        del self._numbered[look.number]
        self._shares.drop(entry_id)
        if look.group is not None:
            self._in_passing(partial(self._vectors.remove, look.group, look.number))

    def use(self, entry_id: str) -> None:
        if entry_id in self._held:
            self._shares.use(entry_id)

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        """As Store.nearest says, among what is held."""
        asked = np.ascontiguousarray(vectors, np.float32)
        search = partial(self._vectors.search, group_of(partition, space, asked), asked, most)
        try:
            found = await asyncio.wrap_future(self._searcher.submit(search))
        except RuntimeError as error:  # what faiss raises, and a searcher that is closed
            raise StoreFault(f"searching: {error}") from error
        named = [(self._numbered.get(near.number), near.lowest) for near in found if near.lowest >= floor]
        return [Candidate(look.entry, lowest) for look, lowest in named if look is not None]

    async def resembling(self, space: str, vector: Vectors, floor: float) -> list[Resembling]:
        """As Store.resembling says, among what is held."""
        search = partial(self._vectors.resembling, space, np.ascontiguousarray(vector, np.float32), floor)
        found = await asyncio.wrap_future(self._searcher.submit(search))
        named = [(self._numbered.get(like.number), like) for like in found]
        return [Resembling(look.entry, like.place, like.cosine) for look, like in named if look is not None]

    async def check(self) -> list[str]:
        """Every disagreement between what is held, its weight and the vectors."""
        held = {look.number for look in self._held.values() if look.group is not None}
        weight = sum(look.weight for look in self._held.values())
        numbers = await asyncio.wrap_future(self._searcher.submit(lambda: set(self._vectors.numbers())))
        wrong = [] if numbers == held else [f"{len(numbers)} vectors are held for {len(held)} looks that have them"]
        if weight != self.bytes or not self._shares.check() or len(self._numbered) != len(self._held):
            wrong.append("the looks held in memory disagree with their count")
        return wrong

    def close(self) -> None:
        self._searcher.shutdown()

    def _in_passing(self, work: "partial[None]") -> None:
        """A later search waits behind it, so it sees it."""
        self._searcher.submit(work).add_done_callback(_log_failure)


def _log_failure(done: Future[None]) -> None:
    if done.exception() is not None:  # `check` will say so too
        log.error("the vectors' index failed: %s", done.exception())

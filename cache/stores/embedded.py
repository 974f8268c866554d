"""The durable store of one process: diskcache's rows and FAISS's vectors under one owner.

    event loop      the index (exact, pixel, partition, sizes, expiry, recency) and the hot replies: microseconds
    worker thread   all of diskcache and SQLite (disk.py)
    search thread   all of FAISS (vectors.py)

Head rows are the truth; index and vectors are derived from them when the store opens (rebuild.py).
Changes take turns (turns.py), each written in one transaction, and `_apply` is the only method that
changes which entries are in memory.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from cache.entry import Entry, Record, Vectors
from cache.errors import CorruptRow, StoreFault
from cache.stores.apart import Pair
from cache.stores.base import Candidate, Clock, Kept, Resembling, Size, weigh
from cache.stores.directory import Directory
from cache.stores.disk import Change, Rows
from cache.stores.hot import Hot
from cache.stores.index import Held, Sizes, stake
from cache.stores.rebuild import Rebuilt, audit, load
from cache.stores.threads import Threads
from cache.stores.turns import Plan, Turns
from cache.stores.vectors import group_of

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# Replies kept in memory: a reply is a few kB, so these are the last ten thousand or so.
HOT_BYTES_MAX = 64 * 2**20
# Uses are written in batches: a kill forgets at most so many of them, and no hit waits for a write.
USES_PER_WRITE = 256


class EmbeddedStore:
    """Made by `open`. Belongs to one event loop, and owns its directory until `close`."""

    def __init__(
        self, directory: Directory, rows: Rows, rebuilt: Rebuilt, threads: Threads, terms: "_Terms", clock: Clock
    ) -> None:
        self._directory = directory
        self._rows = rows
        self._index = rebuilt.index
        self._vectors = rebuilt.vectors
        self._apart = rebuilt.apart
        self._numbers = rebuilt.numbers
        self._uses = rebuilt.uses
        self._evicted, self._expired, self._set_aside = rebuilt.evicted, rebuilt.expired, rebuilt.set_aside
        self._threads = threads
        self._bytes_max = terms.bytes_max
        self._keeps_looks, self._left = terms.keeps_looks, terms.left
        self._hot = Hot(terms.hot_bytes_max)
        self._clock = clock
        self._turns = Turns(threads.worker)
        self._used: dict[str, int] = {}  # entry id -> number of its last use, where no row says so yet
        self._leaving: set[str] = set()  # expired: gone from memory, their rows go with the next change
        self._tidying = False
        self._closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        clock: Clock,
        bytes_max: int,
        hot_bytes_max: int = HOT_BYTES_MAX,
        keeps_looks: bool = True,
        left: Callable[[str], None] = lambda entry_id: None,
    ) -> Self:
        """Blocks while the index is rebuilt. Raises StoreBusy if another process owns the directory, and
        StoreFault if it cannot be used. Without `keeps_looks` neither vectors nor evidence are written, and what
        is there of them is erased. `left` is told of every entry that goes, whatever the reason."""
        claimed = Directory.claim(directory)
        threads = Threads()
        try:
            rows, rebuilt = threads.worker.submit(load, claimed, clock(), bytes_max, keeps_looks).result()
        except BaseException:
            threads.shutdown()
            claimed.release()
            raise
        return cls(claimed, rows, rebuilt, threads, _Terms(bytes_max, hot_bytes_max, keeps_looks, left), clock)

    async def asked(self, partition: str) -> bool:
        self._expire()
        return self._index.asked(partition)

    async def sized(self, partition: str, sizes: Sizes) -> bool:
        self._expire()
        return self._index.sized(partition, sizes)

    async def exact(self, key: str) -> Entry | None:
        self._expire()
        return self._index.exact(key)

    async def pixel(self, key: str) -> Entry | None:
        self._expire()
        return self._index.pixel(key)

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        if not await self.asked(partition):
            return []
        asked = np.ascontiguousarray(vectors, np.float32)
        search = partial(self._vectors.search, group_of(partition, space, asked), asked, most)
        try:
            found = await self._in(self._threads.searcher, search)
        except RuntimeError as error:  # what faiss raises
            raise StoreFault(f"searching: {error}") from error
        self._expire()
        named = [(self._index.numbered(near.number), near.lowest) for near in found if near.lowest >= floor]
        return [Candidate(entry, lowest) for entry, lowest in named if entry is not None]

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        held = self._living(entry_id)
        if held is None or not held.evidence:
            return ()
        return await self._read(held, self._rows.evidence) or ()

    async def reply(self, entry_id: str) -> bytes | None:
        if (held := self._living(entry_id)) is None:
            return None
        reply = self._hot.get(entry_id)
        if reply is None:
            reply = await self._read(held, self._rows.reply)
            if reply is None:
                return None
            self._hot.put(entry_id, reply, held.entry.tenant)
        self._use(entry_id)
        return reply

    async def peek(self, entry_id: str) -> bytes | None:
        if (held := self._living(entry_id)) is None:
            return None
        return self._hot.get(entry_id) or await self._read(held, self._rows.reply)

    async def put(self, record: Record) -> None:
        if not self._keeps_looks:
            record = record.without_looks()
        weight = weigh(record, self._bytes_max)
        self._expire()
        await self._turn(partial(self._plan, record, weight))

    async def remove(self, entry_id: str) -> bool:
        if self._living(entry_id) is None:
            return False
        return entry_id in await self._turn(partial(self._plan, drop=(entry_id,)))

    async def erase(self, entry_ids: Collection[str]) -> list[str]:
        self._expire()
        left = await self._turn(partial(self._plan, drop=tuple(entry_ids)))
        # A turn of its own: were it one with the change and failed, memory would not know what left the rows. And in
        # a thread of its own: it may take minutes, and hits are read from disk meanwhile.
        await self._turn(lambda: (self._rows.scrub, lambda _: None), self._threads.scrubber)
        return list(left)

    async def entries(self) -> list[Kept]:
        self._expire()
        return [Kept(held.entry, held.weight) for held in self._index]

    async def resembling(self, space: str, vector: Vectors, floor: float) -> list[Resembling]:
        search = partial(self._vectors.resembling, space, np.ascontiguousarray(vector, np.float32), floor)
        found = await self._in(self._threads.searcher, search)
        self._expire()
        named = [(self._index.numbered(like.number), like) for like in found]
        return [Resembling(entry, like.place, like.cosine) for entry, like in named if entry is not None]

    async def part(self, pair: Pair) -> None:
        await self._turn(lambda: (partial(self._rows.part, pair), lambda _: self._apart.add(pair)))

    async def parted(self, keys: Collection[str]) -> frozenset[str]:
        return self._apart.of(keys)

    def size(self) -> Size:
        self._expire()
        counted = self._evicted, self._expired, self._set_aside, len(self._apart)
        return Size(len(self._index), self._index.bytes, self._bytes_max, *counted)

    def secret(self) -> bytes:
        return self._directory.secret

    async def check(self) -> list[str]:
        """Reads every row and takes as long as that; other changes wait meanwhile."""
        self._expire()
        return await self._turn(self._plan_audit)

    async def close(self) -> None:
        """Write what is still to be written, and let go of the directory."""
        if self._closed:
            return
        last = self._turn(self._plan)
        self._closed = True
        try:
            await last
            await asyncio.wrap_future(self._threads.worker.submit(self._rows.close))
        except StoreFault as fault:
            log.warning("closing: %s", fault)
        finally:
            self._threads.shutdown()
            self._directory.release()

    # Turns: what each writes, and what becomes of it in memory.

    def _turn(self, plan: Plan[R, T], worker: ThreadPoolExecutor | None = None) -> asyncio.Future[T]:
        if self._closed:
            raise StoreFault("the store is closed")
        return self._turns.take(plan, worker)

    def _plan(
        self,
        record: Record | None = None,
        weight: int = 0,
        drop: tuple[str, ...] = (),
        aside: tuple[str, ...] = (),
    ) -> tuple[Callable[[], None], Callable[[None], set[str]]]:
        """One change of rows. Its finish returns the ids of the entries that left."""
        replaced, surplus, away = list[str](), list[str](), set[str]()
        if record is not None:
            replaced = self._index.replaced_by(record.entry)
            surplus = self._index.surplus(self._bytes_max, stake(record.entry, weight), replaced)
            if record.entry.id in surplus:  # it alone is more than its tenant may hold
                away, record = {record.entry.id}, None
            else:
                self._uses += 1
                self._used[record.entry.id] = self._uses
        used, self._used = self._used, {}  # should the write fail, only their order is lost
        change = Change(record, weight, (*drop, *replaced, *surplus, *self._leaving), aside, used)

        def finish(_: None) -> set[str]:
            self._leaving.difference_update(change.drop)
            left = self._apply(change.drop, record, weight)
            self._evicted += len((left | away).intersection(surplus))
            return left

        return partial(self._rows.write, change), finish

    def _plan_audit(self) -> tuple[Callable[[], list[str]], Callable[[list[str]], list[str]]]:
        write, finish = self._plan()
        wrong = self._index.check()
        held = {one.entry.id: one for one in self._index}
        pairs = len(self._apart)
        numbers = self._threads.searcher.submit(lambda: list(self._vectors.numbers()))

        def work() -> list[str]:
            write()
            return wrong + audit(self._rows, held, numbers.result(), pairs)

        def finish_both(found: list[str]) -> list[str]:
            finish(None)
            return found

        return work, finish_both

    def _apply(self, drop: Iterable[str], record: Record | None = None, weight: int = 0) -> set[str]:
        """The one place where entries enter and leave memory: index, hot replies and vectors together."""
        left: set[str] = set()
        for entry_id in drop:
            held = self._index.drop(entry_id)
            if held is not None:
                left.add(entry_id)
                self._hot.drop(entry_id)
                self._left(entry_id)
                if held.group is not None:
                    self._threads.search_thread_does(self._vectors.remove, held.group, held.number)
        if record is not None:
            entry, vectors = record.entry, record.vectors
            group = None
            if vectors is not None and entry.space is not None:
                group = group_of(entry.partition, entry.space, vectors)
                self._threads.search_thread_does(self._vectors.add, group, [self._numbers], [vectors])
            self._index.add(Held(entry, self._numbers, weight, len(record.evidence), group))
            self._hot.put(entry.id, record.reply, entry.tenant)
            self._numbers += 1
        return left

    def _expire(self) -> None:
        """Before every look: what is over leaves memory now, and the disk in passing."""
        over = self._index.expired(self._clock())
        if over:
            self._expired += len(self._apply(over))
            self._leaving.update(over)
            self._tidy()

    def _use(self, entry_id: str) -> None:
        self._index.use(entry_id)
        self._uses += 1
        self._used[entry_id] = self._uses
        if len(self._used) >= USES_PER_WRITE:
            self._tidy()

    def _tidy(self) -> None:
        """Write in passing what any change writes along; one such turn at a time is enough."""
        if self._tidying or self._closed:
            return
        self._tidying = True

        def tidied(done: asyncio.Future[set[str]]) -> None:
            self._tidying = False
            if not done.cancelled() and done.exception() is not None:
                log.warning("tidying up: %s", done.exception())

        self._turn(self._plan).add_done_callback(tidied)

    # Reading.

    def _living(self, entry_id: str) -> Held | None:
        self._expire()
        return self._index.get(entry_id)

    async def _read(self, held: Held, read: Callable[[str], T | None]) -> T | None:
        """What `read` finds in the entry's rows. An entry whose row is missing or corrupt is set aside."""
        entry_id = held.entry.id
        why = "its row is missing"
        try:
            found = await self._in(self._threads.worker, partial(read, entry_id))
        except CorruptRow as error:
            found, why = None, str(error)
        if self._living(entry_id) is not held:  # it left while we were reading
            return None
        if found is None:
            log.warning("entry %s set aside: %s", entry_id, why)
            self._set_aside += len(self._apply((entry_id,)))
            try:
                await self._turn(partial(self._plan, aside=(entry_id,)))
            except StoreFault as fault:  # it is out of memory; its rows are met again when the store is next opened
                log.warning("setting %s aside: %s", entry_id, fault)
        return found

    async def _in(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreFault("the store is closed")
        return await asyncio.wrap_future(executor.submit(work))


@dataclass(frozen=True, slots=True)
class _Terms:
    bytes_max: int
    hot_bytes_max: int
    keeps_looks: bool
    left: Callable[[str], None]

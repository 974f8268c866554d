"""A durable store that writes nothing which can show a picture: vectors and evidence stay in memory (looks.py).

The rows are an EmbeddedStore's that strips every record before anything else is done with it. After a restart, or once
its looks had to leave, an answer is found by bytes and pixels only.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Self

from cache.entry import Entry, Record, Vectors
from cache.stores.apart import Pair
from cache.stores.base import Candidate, Clock, Kept, Resembling, Size, refuse_unsound
from cache.stores.embedded import EmbeddedStore
from cache.stores.index import Sizes
from cache.stores.looks import Looks


class PrivateStore:
    """Made by `open`. Belongs to one event loop, and owns its directory until `close`."""

    def __init__(self, rows: EmbeddedStore, looks: Looks) -> None:
        self._rows = rows
        self._looks = looks

    @classmethod
    def open(cls, directory: Path, clock: Clock, bytes_max: int, looks_bytes_max: int) -> Self:
        """Blocks; raises as EmbeddedStore.open does. Vectors and evidence found on disk are erased."""
        looks = Looks(looks_bytes_max)
        return cls(EmbeddedStore.open(directory, clock, bytes_max, keeps_looks=False, left=looks.drop), looks)

    async def asked(self, partition: str) -> bool:
        return await self._rows.asked(partition)

    async def sized(self, partition: str, sizes: Sizes) -> bool:
        return await self._rows.sized(partition, sizes)

    async def exact(self, key: str) -> Entry | None:
        return self._as_put(await self._rows.exact(key))

    async def pixel(self, key: str) -> Entry | None:
        return self._as_put(await self._rows.pixel(key))

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        if not await self._rows.asked(partition):  # which also lets go of what is over
            return []
        found = await self._looks.nearest(partition, space, vectors, floor, most)
        self._rows.size()  # what was over by the end of the search leaves now
        return [candidate for candidate in found if self._looks.get(candidate.entry.id)]

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        self._rows.size()  # what is over leaves first
        look = self._looks.get(entry_id)
        return look.evidence if look else ()

    async def reply(self, entry_id: str) -> bytes | None:
        self._looks.use(entry_id)
        return await self._rows.reply(entry_id)

    async def peek(self, entry_id: str) -> bytes | None:
        return await self._rows.peek(entry_id)

    async def put(self, record: Record) -> None:
        refuse_unsound(record)  # before the rows strip it
        await self._rows.put(record)
        # Another answer may have replaced this one meanwhile; nothing is awaited between this look and `add`.
        kept = await self._rows.exact(record.entry.exact)
        if kept is not None and kept.id == record.entry.id:
            self._looks.add(record)

    async def remove(self, entry_id: str) -> bool:
        return await self._rows.remove(entry_id)

    async def erase(self, entry_ids: Collection[str]) -> list[str]:
        return await self._rows.erase(entry_ids)

    async def entries(self) -> list[Kept]:
        found = [(kept, self._looks.get(kept.entry.id)) for kept in await self._rows.entries()]
        return [Kept(look.entry, kept.bytes) if look else kept for kept, look in found]

    async def resembling(self, space: str, vector: Vectors, floor: float) -> list[Resembling]:
        self._rows.size()  # what is over leaves first
        found = await self._looks.resembling(space, vector, floor)
        return [one for one in found if self._looks.get(one.entry.id)]

    async def part(self, pair: Pair) -> None:
        await self._rows.part(pair)

    async def parted(self, keys: Collection[str]) -> frozenset[str]:
        return await self._rows.parted(keys)

    def size(self) -> Size:
        return self._rows.size()

    def secret(self) -> bytes:
        return self._rows.secret()

    async def check(self) -> list[str]:
        return [*await self._rows.check(), *await self._looks.check()]

    async def close(self) -> None:
        try:
            await self._rows.close()
        finally:
            self._looks.close()

    def _as_put(self, entry: Entry | None) -> Entry | None:
        """With the space of its vectors, as long as they are here."""
        look = self._looks.get(entry.id) if entry else None
        return look.entry if look else entry

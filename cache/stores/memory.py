"""The reference: a store that is plain enough to be right by reading it.

Every question is answered by looking at every record, in numpy where there are vectors. No index, no
map, nothing that could disagree with the records. The other stores are tested against this one; it
also serves where nothing need survive a restart and the entries are few.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np

from cache.entry import Entry, Record, Vectors
from cache.stores.apart import Apart, Pair
from cache.stores.base import Candidate, Clock, Kept, Resembling, Size, weigh


class MemoryStore:
    """All records in one dict, in the order in which they were put."""

    def __init__(self, clock: Clock, bytes_max: int) -> None:
        self._clock = clock
        self._bytes_max = bytes_max
        self._records: dict[str, Record] = {}
        self._used: dict[str, int] = {}  # entry id -> number of its last use; a tenant's lowest is evicted first
        self._uses = 0
        self._evicted = 0
        self._expired = 0
        self._apart = Apart()
        self._secret = secrets.token_bytes(32)

    async def asked(self, partition: str) -> bool:
        return any(entry.partition == partition for entry in self._entries())

    async def sized(self, partition: str, sizes: tuple[tuple[int, int], ...]) -> bool:
        return any(entry.partition == partition and entry.sizes == sizes for entry in self._entries())

    async def exact(self, key: str) -> Entry | None:
        return next((entry for entry in self._entries() if entry.exact == key), None)

    async def pixel(self, key: str) -> Entry | None:
        # Several files may hold the same pixels: the answer put last is the one to give.
        found = [entry for entry in self._entries() if entry.pixel == key]
        return found[-1] if found else None

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        scored: list[tuple[float, float, Entry]] = []
        for entry in self._entries():
            stored = self._records[entry.id].vectors
            if entry.partition != partition or entry.space != space:
                continue
            if stored is None or stored.shape != vectors.shape:
                continue
            cosines = np.einsum("nd,nd->n", stored, vectors)
            scored.append((float(cosines.mean()), float(cosines.min()), entry))
        scored.sort(key=lambda item: -item[0])  # stable: of equals, the one put first comes first
        return [Candidate(entry, lowest) for _, lowest, entry in scored[:most] if lowest >= floor]

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        record = self._record(entry_id)
        return record.evidence if record else ()

    async def reply(self, entry_id: str) -> bytes | None:
        record = self._record(entry_id)
        if record is None:
            return None
        self._use(entry_id)
        return record.reply

    async def peek(self, entry_id: str) -> bytes | None:
        record = self._record(entry_id)
        return record.reply if record else None

    async def put(self, record: Record) -> None:
        weigh(record, self._bytes_max)
        entry = record.entry
        for other in list(self._entries()):
            if other.exact == entry.exact or other.id == entry.id:
                self._forget(other.id)
        self._records[entry.id] = record
        self._use(entry.id)
        while self._bytes() > self._bytes_max:
            theirs = [one for one in self._records if self._tenant(one) == self._heaviest()]
            self._forget(min(theirs, key=self._used.__getitem__))
            self._evicted += 1

    async def remove(self, entry_id: str) -> bool:
        if self._record(entry_id) is None:
            return False
        self._forget(entry_id)
        return True

    async def erase(self, entry_ids: Collection[str]) -> list[str]:
        return [entry_id for entry_id in dict.fromkeys(entry_ids) if await self.remove(entry_id)]

    async def entries(self) -> list[Kept]:
        return [Kept(entry, weigh(self._records[entry.id], self._bytes_max)) for entry in self._entries()]

    async def resembling(self, space: str, vector: Vectors, floor: float) -> list[Resembling]:
        found = []
        for entry in self._entries():
            stored = self._records[entry.id].vectors
            if entry.space == space and stored is not None and stored.shape[1] == vector.shape[1]:
                for place, cosine in enumerate(stored @ vector[0]):
                    found.append(Resembling(entry, place, float(cosine)))
        return [one for one in found if one.similarity >= floor]

    async def part(self, pair: Pair) -> None:
        self._apart.add(pair)

    async def parted(self, keys: Collection[str]) -> frozenset[str]:
        return self._apart.of(keys)

    def size(self) -> Size:
        entries = len(list(self._entries()))
        return Size(entries, self._bytes(), self._bytes_max, self._evicted, self._expired, 0, len(self._apart))

    def secret(self) -> bytes:
        return self._secret

    async def check(self) -> list[str]:
        wrong = [] if self._records.keys() == self._used.keys() else ["records and uses differ"]
        exact = [entry.exact for entry in self._entries()]
        if len(set(exact)) != len(exact):
            wrong.append("two entries share an exact key")
        return wrong

    async def close(self) -> None:
        pass

    def _entries(self) -> Iterator[Entry]:
        """Every living entry, in the order put. All reading goes through here, so none sees an expired one."""
        now = self._clock()
        for entry_id in [item.entry.id for item in self._records.values() if not item.entry.fresh(now)]:
            self._forget(entry_id)
            self._expired += 1
        return iter([record.entry for record in self._records.values()])

    def _record(self, entry_id: str) -> Record | None:
        return self._records[entry_id] if any(entry.id == entry_id for entry in self._entries()) else None

    def _bytes(self) -> int:
        return sum(weigh(record, self._bytes_max) for record in self._records.values())

    def _tenant(self, entry_id: str) -> str:
        return self._records[entry_id].entry.tenant

    def _heaviest(self) -> str:
        """The tenant that holds most: it holds more than an even share, so nobody is pushed below that by another."""
        held: Counter[str] = Counter()
        for entry_id, record in self._records.items():
            held[self._tenant(entry_id)] += weigh(record, self._bytes_max)
        return min(held, key=lambda tenant: (-held[tenant], tenant))

    def _use(self, entry_id: str) -> None:
        self._uses += 1
        self._used[entry_id] = self._uses

    def _forget(self, entry_id: str) -> None:
        del self._records[entry_id], self._used[entry_id]

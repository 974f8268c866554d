"""What an embedded store knows without its disk: every entry, found by each of its keys. No I/O.

Derived from the head rows and only ever changed by `add` and `drop`, so that no map can name an entry
that another does not. Belongs to the event loop; every method here costs microseconds.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from cache.entry import Entry
from cache.stores.shares import Shares, Stake
from cache.stores.vectors import Group

Sizes = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An entry in the index."""

    entry: Entry
    number: int  # its vectors' number
    weight: int  # bytes in the budget
    evidence: int  # pieces of evidence stored
    group: Group | None  # where its vectors are; None if it has none


def stake(entry: Entry, weight: int) -> Stake:
    return Stake(entry.id, entry.tenant, weight)


class Index:
    """Every entry, the maps that find it, and what it takes of the room."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._shares = Shares()
        self._exact: dict[str, str] = {}
        # Several files may hold the same pixels; the answer put last is the one to give.
        self._pixel: dict[str, tuple[str, ...]] = {}
        self._numbers: dict[int, str] = {}
        self._partitions: Counter[str] = Counter()
        self._sizes: Counter[tuple[str, Sizes]] = Counter()
        self._expiry: list[tuple[float, str]] = []  # a heap; may still name entries that are gone

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        return self._shares.bytes

    def __iter__(self) -> Iterator[Held]:
        return iter(self._held.values())

    def get(self, entry_id: str) -> Held | None:
        return self._held.get(entry_id)

    def exact(self, key: str) -> Entry | None:
        entry_id = self._exact.get(key)
        return None if entry_id is None else self._held[entry_id].entry

    def pixel(self, key: str) -> Entry | None:
        ids = self._pixel.get(key)
        return self._held[ids[-1]].entry if ids else None

    def numbered(self, number: int) -> Entry | None:
        entry_id = self._numbers.get(number)
        return None if entry_id is None else self._held[entry_id].entry

    def asked(self, partition: str) -> bool:
        return partition in self._partitions

    def sized(self, partition: str, sizes: Sizes) -> bool:
        return (partition, sizes) in self._sizes

    def add(self, held: Held) -> None:
        entry = held.entry
        assert entry.id not in self._held
        assert entry.exact not in self._exact
        self._held[entry.id] = held
        self._exact[entry.exact] = entry.id
        self._pixel[entry.pixel] = (*self._pixel.get(entry.pixel, ()), entry.id)
        self._numbers[held.number] = entry.id
        self._partitions[entry.partition] += 1
        self._sizes[entry.partition, entry.sizes] += 1
        self._shares.add(stake(entry, held.weight))
        heapq.heappush(self._expiry, (entry.expires_s, entry.id))
        if len(self._expiry) > 2 * len(self._held) + 100:  # else entries replaced again and again pile up in here
            self._expiry = [(one.entry.expires_s, one.entry.id) for one in self]
            heapq.heapify(self._expiry)

    def drop(self, entry_id: str) -> Held | None:
        held = self._held.pop(entry_id, None)
        if held is None:
            return None
        entry = held.entry
        del self._exact[entry.exact], self._numbers[held.number]
        self._pixel[entry.pixel] = tuple(one for one in self._pixel[entry.pixel] if one != entry_id)
        if not self._pixel[entry.pixel]:
            del self._pixel[entry.pixel]
        _take(self._partitions, entry.partition)
        _take(self._sizes, (entry.partition, entry.sizes))
        self._shares.drop(entry_id)
        return held

    def use(self, entry_id: str) -> None:
        self._shares.use(entry_id)

    def replaced_by(self, entry: Entry) -> list[str]:
        same = {self._exact.get(entry.exact), entry.id if entry.id in self._held else None}
        return [entry_id for entry_id in same if entry_id is not None]

    def surplus(self, bytes_max: int, incoming: Stake | None, leaving: Collection[str]) -> list[str]:
        """The entries to let go, so that `incoming` fits once `leaving` have left; see shares.py."""
        return self._shares.surplus(bytes_max, incoming, leaving)

    def expired(self, now_s: float) -> list[str]:
        """Entries whose time is over. They are not named again: the caller drops them."""
        found: list[str] = []
        while self._expiry and self._expiry[0][0] <= now_s:
            expires_s, entry_id = heapq.heappop(self._expiry)
            held = self._held.get(entry_id)
            if held is not None and held.entry.expires_s == expires_s:
                found.append(entry_id)
        return found

    def check(self) -> list[str]:
        """Every map that does not say what the entries say."""
        entries = [held.entry for held in self]
        pixel = [(key, one) for key, ids in self._pixel.items() for one in ids]
        facts = {
            "exact keys": self._exact == {entry.exact: entry.id for entry in entries},
            "pixel keys": sorted(pixel) == sorted((entry.pixel, entry.id) for entry in entries),
            "numbers": self._numbers == {held.number: held.entry.id for held in self},
            "partitions": self._partitions == Counter(entry.partition for entry in entries),
            "sizes": self._sizes == Counter((entry.partition, entry.sizes) for entry in entries),
            "bytes": self._shares.check() and self.bytes == sum(held.weight for held in self),
            "expiry": {(entry.expires_s, entry.id) for entry in entries} <= set(self._expiry),
        }
        return [f"the index of {name} disagrees with the entries" for name, holds in facts.items() if not holds]


def _take(counter: Counter[Any], key: object) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]

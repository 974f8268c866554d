"""The contract of a store: it owns rows *and* vectors together, so they can never disagree.

Every method is safe to call from one event loop with many tasks. A store raises `StoreFault` for
its own trouble and nothing else. "No such entry" is never an error.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cache.entry import Entry, Record, Vectors, pack_head
from cache.errors import StoreFault
from cache.stores.apart import Pair

Clock = Callable[[], float]  # Unix time in seconds


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry nominated by its vectors. `similarity` is the lowest cosine over its pictures."""

    entry: Entry
    similarity: float


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry, and the bytes that it counts for in the budget."""

    entry: Entry
    bytes: int


@dataclass(frozen=True, slots=True)
class Resembling:
    """One picture of an entry, by its place in it, and its cosine to another picture."""

    entry: Entry
    place: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Size:
    """What the store holds now, and what it has let go since it was opened."""

    entries: int
    bytes: int
    bytes_max: int
    evicted: int
    expired: int
    set_aside: int  # rows found corrupt: kept apart, never served
    apart: int = 0  # pairs of requests that never answer each other


class Store(Protocol):
    """Rows and vectors of stored answers. An entry that has expired by the store's clock is never returned by any
    method. Who wants entries kept past their time gives a clock that is behind by as much, and asks `Entry.fresh`."""

    async def asked(self, partition: str) -> bool:
        """Whether this question has any answer in this scope: False is a certain miss."""
        ...

    async def sized(self, partition: str, sizes: tuple[tuple[int, int], ...]) -> bool:
        """Whether an entry of the partition has pictures of exactly these sizes (else no pixel hit is possible)."""
        ...

    async def exact(self, key: str) -> Entry | None: ...

    async def pixel(self, key: str) -> Entry | None: ...

    async def nearest(self, partition: str, space: str, vectors: Vectors, floor: float, most: int) -> list[Candidate]:
        """Of the `most` entries of this partition and space with the highest mean cosine, those whose lowest
        per-picture cosine is >= `floor`; highest mean first. An entry with another number of pictures never matches."""
        ...

    async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
        """What the guard needs of the entry's pictures; empty if nothing was kept or the entry is gone."""
        ...

    async def reply(self, entry_id: str) -> bytes | None:
        """The stored answer; marks the entry as used. None if it is gone or its row is corrupt."""
        ...

    async def peek(self, entry_id: str) -> bytes | None:
        """The stored answer, for a look that is no use: what is evicted first stays as it was."""
        ...

    async def put(self, record: Record) -> None:
        """Store durably: once this returns, a kill of the process loses nothing. Replaces an entry with the same
        exact key. Evicts the least recently used entries if the byte budget is exceeded; a record that alone
        exceeds it is a StoreFault, and changes nothing."""
        ...

    async def remove(self, entry_id: str) -> bool:
        """Forget an entry, its vectors and its evidence. False if there was none."""
        ...

    async def erase(self, entry_ids: Collection[str]) -> list[str]:
        """Forget these, and whatever this store set aside as damaged, and leave no trace of them, or of entries that
        went before, in any file. The ids that were there. Slower than `remove`; lookups go on meanwhile."""
        ...

    async def entries(self) -> list[Kept]:
        """Every entry, of all partitions, in no order."""
        ...

    async def resembling(self, space: str, vector: Vectors, floor: float) -> list[Resembling]:
        """Every picture of every entry, in any partition, that has a cosine >= `floor` to this one picture's vector.
        Exhaustive, and slow for a lookup."""
        ...

    async def part(self, pair: Pair) -> None:
        """Remember durably that these two requests never answer each other."""
        ...

    async def parted(self, keys: Collection[str]) -> frozenset[str]:
        """The keys of all requests that must not be answered by an entry with any of `keys`."""
        ...

    def size(self) -> Size: ...

    def secret(self) -> bytes:
        """32 random bytes as old as the store: digests made with them mean nothing outside of it."""
        ...

    async def check(self) -> list[str]:
        """Every broken invariant between rows, files, keys and vectors, in words. Empty means sound."""
        ...

    async def close(self) -> None: ...


def refuse_unsound(record: Record) -> None:
    """Raises StoreFault for a record that no store may take."""
    entry, vectors = record.entry, record.vectors
    if (entry.space is None) != (vectors is None):
        raise StoreFault("a record has vectors exactly if its entry names their space")
    if vectors is not None and not (vectors.ndim == 2 and len(vectors) and np.isfinite(vectors).all()):
        raise StoreFault("vectors must be finite numbers, one row per picture")


def weigh(record: Record, bytes_max: int) -> int:
    """Bytes that a record counts for in the budget. Raises StoreFault for a record that no store may take."""
    refuse_unsound(record)
    weight = len(pack_head(record.entry, record.vectors)) + len(record.reply) + sum(map(len, record.evidence))
    if weight > bytes_max:
        raise StoreFault(f"a record of {weight} bytes does not fit into a budget of {bytes_max}")
    return weight

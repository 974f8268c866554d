"""Vectors of stored pictures and the search among them. The only file that imports faiss.

One shelf per (partition, space, pictures per request, dim): the prompt is matched first, so a search
never even sees the vectors of another question. The vectors of a request with n pictures are laid
end to end and asked for with 1/n of the asked ones, so that the inner product is the mean cosine; the
lowest cosine is then computed from the stored numbers themselves, which no shelf rounds.

Not safe for threads: its owner calls it from one thread, and calls `one_thread_each` there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from cache.entry import Vectors

Numbers = NDArray[np.int64]
Flat = NDArray[np.float32]  # (requests, pictures * dim)

# Up to here every vector of the shelf is compared: exact, and quick enough (2 cores, 512 dimensions,
# one thread: 1.6 ms at 19,000, 3.6 ms at 50,000). A shelf of one vector costs 3.0 kB and 8 us to make, against
# 2.4 kB and 3 us for a bare numpy row (20,000 shelves measured): no third kind for tiny ones is needed.
FLAT_MAX = 20_000
# Beyond, lists around about sqrt(n) centroids, of which the nearest are searched. 50,000 x 512, one thread, against
# the flat search, asked with near-duplicates (cosine 0.97), 300 searches (benchmarks/store.py repeats it):
#   500 clusters: recall@5 1.00, the duplicate itself first 1.00; 0.7 ms against 3.6 ms
#   20,000 clusters in a narrow cone (the worst made: neighbours beyond the duplicate are noise):
#                 recall@5 0.86, the duplicate itself first 1.00; 1.5 ms against 3.4 ms
# With 16 probes and duplicates at cosine 0.91, the second finds 0.983 of the duplicates, with 32 probes 1.00.
PROBES = 32
# With this growth the lists have become too long, and the centroids are found anew.
RETRAIN_GROWTH = 4
_ROWS_AT_A_TIME = 4_096  # 8 MB of 512 numbers each
# k-means needs few rounds here: a centroid need not be the best one, only the same one for near-duplicates.
_TRAIN_ROUNDS = 6
_TRAIN_VECTORS_PER_LIST = 64
# Number -> place in its list, so that single ones can be removed and read. (faiss's type stub lacks the name.)
_HASHTABLE = cast(Any, faiss).DirectMap.Hashtable


@dataclass(frozen=True, slots=True)
class Group:
    """What must be equal before two vectors may be compared at all."""

    partition: str
    space: str
    pictures: int
    dim: int


@dataclass(frozen=True, slots=True)
class Near:
    """A stored request found by its vectors."""

    number: int
    mean: float  # cosine, over its pictures
    lowest: float


@dataclass(frozen=True, slots=True)
class Like:
    """One picture of a stored request, by its place in it."""

    number: int
    place: int
    cosine: float


def group_of(partition: str, space: str, vectors: Vectors) -> Group:
    return Group(partition, space, *vectors.shape)


def one_thread_each() -> None:
    """Keep faiss in the calling thread: a search here takes microseconds, and waking OpenMP's threads for it
    would take them from the event loop. The setting belongs to the calling thread; torch's is untouched."""
    faiss.omp_set_num_threads(1)


class VectorIndex:
    """Numbered vectors, by group. A number is given once and belongs to one group."""

    def __init__(self, flat_max: int = FLAT_MAX) -> None:
        self._flat_max = flat_max
        self._shelves: dict[Group, _Shelf] = {}

    def add(self, group: Group, numbers: Sequence[int], vectors: Sequence[Vectors]) -> None:
        """Many at once, so that a store that opens trains the lists of a large group once."""
        rows = np.stack([one.reshape(-1) for one in vectors]).astype(np.float32, copy=False)
        shelf = self._shelves.get(group)
        if shelf is None:
            shelf = self._shelves[group] = _Shelf(group.pictures * group.dim, self._flat_max)
        shelf.add(np.asarray(numbers, np.int64), rows)

    def remove(self, group: Group, number: int) -> None:
        """An unknown number is no error: the caller's maps decide what is stored, not the shelf."""
        shelf = self._shelves.get(group)
        if shelf is None:
            return
        shelf.remove(number)
        if len(shelf) == 0:
            del self._shelves[group]

    def search(self, group: Group, asked: Vectors, most: int) -> list[Near]:
        """The `most` stored requests with the highest mean cosine, highest first."""
        shelf = self._shelves.get(group)
        if shelf is None or most < 1:
            return []
        numbers, rows = shelf.search(asked.reshape(1, -1) / np.float32(len(asked)), most)
        found = [_near(number, row, asked) for number, row in zip(numbers, rows, strict=True)]
        return sorted(found, key=lambda near: (-near.mean, near.number))

    def resembling(self, space: str, asked: Vectors, floor: float) -> list[Like]:
        """Every stored picture of the space, whatever its partition, with a cosine >= `floor` to the one asked."""
        dim = asked.shape[1]
        shelves = [(group, shelf) for group, shelf in self._shelves.items() if (group.space, group.dim) == (space, dim)]
        found: list[Like] = []
        for group, shelf in shelves:
            for numbers, rows in shelf.rows():
                cosines = rows.reshape(len(rows), group.pictures, dim) @ asked[0]
                for row, place in np.argwhere(cosines >= floor).tolist():
                    found.append(Like(int(numbers[row]), place, float(cosines[row, place])))
        return found

    def numbers(self) -> Iterator[int]:
        for shelf in self._shelves.values():
            yield from shelf.numbers()

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))


def _near(number: int, row: Flat, asked: Vectors) -> Near:
    cosines = np.einsum("nd,nd->n", row.reshape(asked.shape), asked)
    return Near(number, float(cosines.mean()), float(cosines.min()))


class _Shelf:
    """The vectors of one group: flat while they are few, in lists once they are many."""

    def __init__(self, width: int, flat_max: int) -> None:
        self._width = width
        self._flat_max = flat_max
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(width))
        self._renew_above = flat_max

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, numbers: Numbers, rows: Flat) -> None:
        if len(self) + len(numbers) <= self._renew_above:
            self._index.add_with_ids(rows, numbers)
            return
        kept = np.fromiter(self.numbers(), np.int64, len(self))
        if len(kept):
            rows = np.concatenate([self._index.reconstruct_batch(kept), rows])
        self._index = _lists(rows)
        self._index.add_with_ids(rows, np.concatenate([kept, numbers]))
        self._renew_above = RETRAIN_GROWTH * len(rows)

    def remove(self, number: int) -> None:
        self._index.remove_ids(np.array([number], np.int64))

    def search(self, asked: Flat, most: int) -> tuple[list[int], Flat]:
        _, found = self._index.search(asked, min(most, len(self)))
        numbers = found[0][found[0] >= 0]  # -1 fills up where the searched lists hold fewer
        return numbers.tolist(), self._index.reconstruct_batch(numbers)

    def numbers(self) -> Iterator[int]:
        if isinstance(self._index, faiss.IndexIDMap2):
            yield from faiss.vector_to_array(self._index.id_map).tolist()
            return
        lists = self._index.invlists
        for each in range(lists.nlist):
            yield from faiss.rev_swig_ptr(lists.get_ids(each), lists.list_size(each)).tolist()

    def rows(self) -> Iterator[tuple[Numbers, Flat]]:
        """Everything on the shelf, some at a time."""
        numbers = np.fromiter(self.numbers(), np.int64, len(self))
        for some in (numbers[start : start + _ROWS_AT_A_TIME] for start in range(0, len(numbers), _ROWS_AT_A_TIME)):
            yield some, self._index.reconstruct_batch(some)


def _lists(rows: Flat) -> Any:
    """An empty index of trained lists for vectors like these, from which single ones can be removed and read."""
    width = rows.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, max(1, isqrt(len(rows))), faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = _TRAIN_ROUNDS
    index.cp.max_points_per_centroid = _TRAIN_VECTORS_PER_LIST
    index.cp.min_points_per_centroid = 1  # else it warns on stderr about small shelves
    index.train(rows)
    index.set_direct_map_type(_HASHTABLE)
    index.nprobe = PROBES
    return index

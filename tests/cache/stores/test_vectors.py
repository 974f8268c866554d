import faiss
import numpy as np
import pytest

from cache.entry import Vectors
from cache.stores import vectors as module
from cache.stores.vectors import Group, VectorIndex, group_of

DIM = 32
GROUP = Group("question", "space", 1, DIM)


def random_units(count: int, seed: int, pictures: int = 1) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, pictures, DIM), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=2, keepdims=True)


def filled(count: int, flat_max: int, seed: int = 0) -> tuple[VectorIndex, Vectors]:
    index, rows = VectorIndex(flat_max), random_units(count, seed)
    for number, row in enumerate(rows):
        index.add(GROUP, [number], [row])
    return index, rows


def is_flat(index: VectorIndex) -> bool:
    return isinstance(index._shelves[GROUP]._index, faiss.IndexIDMap2)


def near_duplicates(rows: Vectors, seed: int) -> Vectors:
    moved = rows + 0.25 * np.random.default_rng(seed).standard_normal(rows.shape, dtype=np.float32) / DIM**0.5
    return moved / np.linalg.norm(moved, axis=2, keepdims=True)


def test_a_shelf_is_promoted_beyond_its_limit_and_keeps_every_vector() -> None:
    index, _ = filled(100, flat_max=100)
    assert is_flat(index)
    index.add(GROUP, [100], [random_units(1, 9)[0]])

    assert not is_flat(index)
    assert list(range(101)) == sorted(index.numbers())


def test_lists_find_near_duplicates_as_the_flat_search_does() -> None:
    flat, rows = filled(3_000, flat_max=10_000)
    lists, _ = filled(3_000, flat_max=500)
    assert is_flat(flat)
    assert not is_flat(lists)

    for number, asked in zip(range(0, 3_000, 10), near_duplicates(rows[::10], seed=1), strict=True):
        assert flat.search(GROUP, asked, 1) == lists.search(GROUP, asked, 1)
        assert number == lists.search(GROUP, asked, 1)[0].number


def test_lists_are_trained_again_as_they_grow() -> None:
    index, _ = filled(module.RETRAIN_GROWTH * 51 + 1, flat_max=50)

    assert index._shelves[GROUP]._index.nlist == 14  # isqrt(205): at promotion it was isqrt(51) = 7


@pytest.mark.parametrize("flat_max", [10, 1_000])
def test_removed_numbers_are_gone_and_the_others_unharmed(flat_max: int) -> None:
    index, rows = filled(200, flat_max)
    for number in range(0, 200, 2):
        index.remove(GROUP, number)
    index.remove(GROUP, 0)

    assert list(range(1, 200, 2)) == sorted(index.numbers())
    for number in (1, 77, 199):
        found = index.search(GROUP, rows[number], 3)
        assert number == found[0].number
        assert pytest.approx(1) == found[0].lowest
    assert all(near.number % 2 for near in index.search(GROUP, rows[4], 200))


def test_an_emptied_shelf_is_taken_down() -> None:
    index, rows = filled(2, flat_max=10)
    index.remove(GROUP, 0)
    index.remove(GROUP, 1)

    assert index.search(GROUP, rows[0], 1) == []
    assert len(index) == 0
    assert index._shelves == {}


def test_removing_what_was_never_there_does_nothing() -> None:
    VectorIndex().remove(GROUP, 5)


@pytest.mark.parametrize("flat_max", [5, 1_000])
def test_mean_and_lowest_cosine_are_exact(flat_max: int) -> None:
    rows = random_units(60, seed=3, pictures=4)
    asked = random_units(1, seed=4, pictures=4)[0]
    group = group_of("question", "space", asked)
    index = VectorIndex(flat_max)
    index.add(group, range(60), list(rows))

    cosines = np.einsum("rnd,nd->rn", rows, asked)
    found = index.search(group, asked, 60)
    assert list(np.argsort(-cosines.mean(axis=1), kind="stable")) == [near.number for near in found]
    assert [float(cosines[near.number].min()) for near in found] == pytest.approx([near.lowest for near in found])
    assert [float(cosines[near.number].mean()) for near in found] == pytest.approx([near.mean for near in found])


def test_groups_never_meet() -> None:
    row = random_units(1, seed=5)[0]
    index = VectorIndex()
    groups = [GROUP, Group("other", "space", 1, DIM), Group("question", "other", 1, DIM)]
    for number, group in enumerate(groups):
        index.add(group, [number], [row])

    for number, group in enumerate(groups):
        assert [number] == [near.number for near in index.search(group, row, 10)]


def test_equals_come_in_the_order_of_their_numbers() -> None:
    row = random_units(1, seed=6)[0]
    index = VectorIndex()
    index.add(GROUP, [3, 1, 2], [row, row, row])

    assert [near.number for near in index.search(GROUP, row, 3)] == [1, 2, 3]


def test_only_this_thread_is_kept_from_many_threads() -> None:
    module.one_thread_each()

    assert faiss.omp_get_max_threads() == 1

"""What every store must do. A store's test class inherits `StoreContract` and gives `open`."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.entry import Entry, Record, Vectors
from cache.errors import StoreFault
from cache.stores.apart import Pair
from cache.stores.base import Store, weigh

BYTES_MAX = 1_000_000
DIM = 16
NEVER = 1e12


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def unit(*numbers: float) -> Vectors:
    """One picture's vector: the given leading numbers, scaled to length one."""
    vector = np.zeros((1, DIM), np.float32)
    vector[0, : len(numbers)] = numbers
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def pictures(*vectors: Vectors) -> Vectors:
    return np.concatenate(vectors)


def record(
    name: str,
    vectors: Vectors | None = None,
    *,
    reply: bytes | None = None,
    evidence: tuple[bytes, ...] = (b"what the guard needs",),
    **fields: Any,
) -> Record:
    entry = Entry(
        id=f"id-{name}",
        partition="question",
        exact=f"exact-{name}",
        pixel=f"pixel-{name}",
        dialect="openai-chat",
        model="qwen3-vl-8b",
        created_s=1_000.0,
        expires_s=NEVER,
        upstream_s=2.5,
        tokens_in=100,
        tokens_out=None,
        streamed=False,
        space=None if vectors is None else "space",
        sizes=((640, 480),),
    )
    return Record(replace(entry, **fields), f"reply of {name}".encode() if reply is None else reply, vectors, evidence)


async def ids(store: Store, vectors: Vectors, *, floor: float = 0.9, most: int = 5, **where: str) -> list[str]:
    place = {"partition": "question", "space": "space"} | where
    return [found.entry.id for found in await store.nearest(**place, vectors=vectors, floor=floor, most=most)]


class StoreContract:
    pytestmark = pytest.mark.anyio

    def open(self, directory: Path, clock: Clock, bytes_max: int) -> Store:
        raise NotImplementedError("a store's test class says how it is opened")

    def weight(self, record: Record) -> int:
        """Bytes that a record counts for in this store's budget."""
        return weigh(record, BYTES_MAX)

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        yield store
        assert await store.check() == []
        await store.close()

    # Kept as it was given

    async def test_what_was_put_comes_back_byte_for_byte(self, store: Store) -> None:
        put = record("a", unit(1), reply=bytes(range(256)) * 200, evidence=(b"", b"\x00\xff" * 40_000))
        await store.put(put)

        assert put.entry == await store.exact("exact-a")
        assert put.entry == await store.pixel("pixel-a")
        assert put.reply == await store.reply("id-a")
        assert put.evidence == await store.evidence("id-a")

    async def test_an_entry_without_vectors_or_evidence_is_kept(self, store: Store) -> None:
        await store.put(record("a", evidence=(), reply=b""))

        assert await store.reply("id-a") == b""
        assert await store.evidence("id-a") == ()
        assert await ids(store, unit(1)) == []

    async def test_what_was_never_put_is_not_there(self, store: Store) -> None:
        assert await store.exact("exact-a") is None
        assert await store.pixel("pixel-a") is None
        assert await store.reply("id-a") is None
        assert await store.evidence("id-a") == ()
        assert not await store.remove("id-a")
        assert not await store.asked("question")
        assert await ids(store, unit(1)) == []

    async def test_asked_and_sized_speak_of_the_partition(self, store: Store) -> None:
        await store.put(record("a", sizes=((640, 480), (8, 9))))

        assert await store.asked("question")
        assert not await store.asked("another question")
        assert await store.sized("question", ((640, 480), (8, 9)))
        assert not await store.sized("question", ((640, 480),))
        assert not await store.sized("another question", ((640, 480), (8, 9)))

    async def test_the_answer_put_last_is_given_for_the_same_pixels(self, store: Store) -> None:
        first, last = record("a", pixel="shared"), record("b", pixel="shared")
        await store.put(first)
        await store.put(last)
        assert last.entry == await store.pixel("shared")

        await store.remove("id-b")
        assert first.entry == await store.pixel("shared")

    async def test_the_same_exact_key_replaces(self, store: Store) -> None:
        await store.put(record("old", unit(1), exact="same"))
        await store.put(record("new", unit(0, 1), exact="same"))

        found = await store.exact("same")
        assert found is not None
        assert found.id == "id-new"
        assert await store.reply("id-old") is None
        assert await store.evidence("id-old") == ()
        assert await store.pixel("pixel-old") is None
        assert await ids(store, unit(1)) == []
        assert store.size().entries == 1
        assert store.size().evicted == 0

    async def test_an_id_put_again_replaces(self, store: Store) -> None:
        await store.put(record("a", unit(1), reply=b"old"))
        await store.put(record("a", unit(0, 1), reply=b"new", exact="another", evidence=()))

        assert await store.exact("exact-a") is None
        assert await store.reply("id-a") == b"new"
        assert await store.evidence("id-a") == ()
        assert await ids(store, unit(0, 1)) == ["id-a"]

    async def test_removed_is_gone_everywhere(self, store: Store) -> None:
        await store.put(record("a", unit(1)))
        await store.put(record("b", unit(0, 1)))

        assert await store.remove("id-a")
        assert not await store.remove("id-a")
        assert await store.exact("exact-a") is None
        assert await store.pixel("pixel-a") is None
        assert await store.reply("id-a") is None
        assert await ids(store, unit(1)) == []
        assert await ids(store, unit(0, 1)) == ["id-b"]

    async def test_a_question_whose_last_answer_left_was_never_asked(self, store: Store) -> None:
        await store.put(record("a"))
        await store.remove("id-a")

        assert not await store.asked("question")
        assert not await store.sized("question", ((640, 480),))

    # Near

    async def test_nearest_never_leaves_the_partition_or_the_space(self, store: Store) -> None:
        await store.put(record("a", unit(1)))
        await store.put(record("b", unit(1), partition="another question"))
        await store.put(record("c", unit(1), space="another space"))
        await store.put(record("d"))

        assert await ids(store, unit(1)) == ["id-a"]
        assert await ids(store, unit(1), partition="another question") == ["id-b"]
        assert await ids(store, unit(1), space="another space") == ["id-c"]
        assert await ids(store, unit(1), partition="another question", space="another space") == []

    async def test_nearest_gives_the_highest_mean_first_and_no_more_than_asked(self, store: Store) -> None:
        for name, lean in (("far", 0.4), ("near", 0.1), ("same", 0.0), ("middle", 0.2)):
            await store.put(record(name, unit(1, lean)))

        assert await ids(store, unit(1)) == ["id-same", "id-near", "id-middle", "id-far"]
        assert await ids(store, unit(1), most=2) == ["id-same", "id-near"]
        assert await ids(store, unit(1), floor=0.99) == ["id-same", "id-near"]

    async def test_similarity_is_the_cosine(self, store: Store) -> None:
        await store.put(record("a", unit(4, 3)))
        (found,) = await store.nearest("question", "space", unit(1), 0.5, 5)

        assert pytest.approx(0.8) == found.similarity

    async def test_every_picture_must_reach_the_floor(self, store: Store) -> None:
        # Mean cosine 0.9 both times; the second has one picture that is quite another.
        await store.put(record("even", pictures(unit(0.9, 0.19**0.5), unit(0.9, 0.19**0.5))))
        await store.put(record("odd", pictures(unit(1), unit(0.8, 0.6))))
        asked = pictures(unit(1), unit(1))

        assert await ids(store, asked, floor=0.85) == ["id-even"]
        assert {"id-even", "id-odd"} == set(await ids(store, asked, floor=0.75))
        found = await store.nearest("question", "space", asked, 0.75, 5)
        assert sorted(round(one.similarity, 5) for one in found) == [0.8, 0.9]

    async def test_the_order_and_the_number_of_pictures_matter(self, store: Store) -> None:
        left, right = unit(1), unit(0, 1)
        await store.put(record("two", pictures(left, right)))

        assert await ids(store, pictures(left, right)) == ["id-two"]
        assert await ids(store, pictures(right, left)) == []
        assert await ids(store, left) == []
        assert await ids(store, pictures(left, right, right)) == []

    # Time

    async def test_an_entry_is_gone_at_the_moment_it_expires(self, store: Store, clock: Clock) -> None:
        await store.put(record("a", unit(1), expires_s=2_000.0))
        await store.put(record("b", unit(0, 1)))
        clock.now_s = 1_999.9
        assert await ids(store, unit(1)) == ["id-a"]
        assert await store.reply("id-a") == b"reply of a"

        clock.now_s = 2_000.0
        assert await store.exact("exact-a") is None
        assert await store.pixel("pixel-a") is None
        assert await store.reply("id-a") is None
        assert await store.evidence("id-a") == ()
        assert await ids(store, unit(1)) == []
        assert not await store.remove("id-a")
        assert (store.size().entries, store.size().expired, store.size().evicted) == (1, 1, 0)

    async def test_an_expired_entry_is_not_found_by_any_method_first(self, store: Store, clock: Clock) -> None:
        for method in ("exact", "pixel", "reply"):
            await store.put(record(method, expires_s=clock.now_s + 1, partition=method))
            clock.now_s += 1
            assert await getattr(store, method)(f"id-{method}" if method == "reply" else f"{method}-{method}") is None
            assert not await store.asked(method)

        await store.put(record("near", unit(1), expires_s=clock.now_s + 1))
        clock.now_s += 1
        assert await ids(store, unit(1)) == []

    async def test_by_a_clock_that_is_behind_an_entry_is_kept_past_its_time(self, tmp_path: Path) -> None:
        clock = Clock(940.0)  # it is 1,000
        store = self.open(tmp_path / "behind", clock, BYTES_MAX)
        await store.put(record("a", unit(1), expires_s=2_000.0))
        clock.now_s = 1_999.9
        found = await store.exact("exact-a")
        assert found is not None
        assert not found.fresh(clock.now_s + 60)
        assert found == await store.pixel("pixel-a")
        assert await ids(store, unit(1)) == ["id-a"]
        assert await store.evidence("id-a") == (b"what the guard needs",)
        assert await store.reply("id-a") == b"reply of a"

        clock.now_s = 2_000.0
        assert await store.exact("exact-a") is None
        assert await ids(store, unit(1)) == []
        assert store.size().expired == 1
        await store.close()

    async def test_an_answer_that_is_over_already_is_not_found(self, store: Store, clock: Clock) -> None:
        await store.put(record("a", unit(1), expires_s=clock.now_s))

        assert await store.exact("exact-a") is None
        assert await ids(store, unit(1)) == []

    # Room

    async def test_the_least_recently_used_leaves_first(self, tmp_path: Path, clock: Clock) -> None:
        each = self.weight(record("1"))
        store = self.open(tmp_path / "small", clock, 3 * each)
        for name in "123":
            await store.put(record(name))
        await store.reply("id-1")
        await store.exact("exact-2")  # a look is not a use
        await store.put(record("4"))

        assert await store.exact("exact-2") is None
        for name in "134":
            assert f"reply of {name}".encode() == await store.reply(f"id-{name}")
        size = store.size()
        assert (3, 3 * each, 3 * each, 1) == (size.entries, size.bytes, size.bytes_max, size.evicted)
        assert await store.check() == []
        await store.close()

    async def test_one_tenants_flood_does_not_push_anothers_answers_out(self, tmp_path: Path, clock: Clock) -> None:
        each = self.weight(record("1", tenant="quiet"))
        store = self.open(tmp_path / "small", clock, 6 * each)
        for name in "12":
            await store.put(record(name, tenant="quiet"))
        for name in "abcdefgh":
            await store.put(record(name, tenant="flood"))
        assert sorted(kept.entry.id for kept in await store.entries()) == [f"id-{name}" for name in "12efgh"]
        for name in "34":  # up to an even share at the flood's cost, and beyond it at one's own
            await store.put(record(name, tenant="quiet"))

        assert sorted(kept.entry.id for kept in await store.entries()) == [f"id-{name}" for name in "234fgh"]
        assert store.size().evicted == 6
        assert await store.check() == []
        await store.close()

    async def test_an_answer_larger_than_its_tenants_share_is_not_kept(self, tmp_path: Path, clock: Clock) -> None:
        each = self.weight(record("1", tenant="quiet"))
        store = self.open(tmp_path / "small", clock, 6 * each)
        for name in "123":
            await store.put(record(name, tenant="quiet"))
        await store.put(record("giant", reply=bytes(4 * each), tenant="big"))

        assert await store.exact("exact-giant") is None
        assert sorted(kept.entry.id for kept in await store.entries()) == ["id-1", "id-2", "id-3"]
        assert (store.size().evicted, await store.check()) == (1, [])
        await store.close()

    async def test_another_questions_flood_takes_no_candidate_away(self, store: Store) -> None:
        for name in "abc":
            await store.put(record(name, unit(1, int(name, 16) / 1000)))
        for number in range(40):  # nearer than any of them
            await store.put(record(str(number), unit(1), partition="another tenant's"))

        assert sorted(await ids(store, unit(1))) == ["id-a", "id-b", "id-c"]

    async def test_a_peek_gives_the_answer_and_is_no_use(self, tmp_path: Path, clock: Clock) -> None:
        each = weigh(record("1"), BYTES_MAX)
        store = self.open(tmp_path / "small", clock, 2 * each)
        for name in "12":
            await store.put(record(name))

        assert await store.peek("id-1") == b"reply of 1"
        assert await store.peek("id-0") is None
        await store.put(record("3"))
        assert await store.exact("exact-1") is None
        assert await store.peek("id-1") is None
        await store.close()

    async def test_what_is_evicted_takes_its_vectors_along(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "small", clock, 3_000)
        for count in range(20):
            await store.put(record(str(count), unit(1, count), reply=bytes(700)))

        kept = [name for name in map(str, range(20)) if await store.exact(f"exact-{name}")]
        assert 0 < len(kept) < 5
        assert {f"id-{name}" for name in kept} == set(await ids(store, unit(1), floor=-1, most=100))
        assert store.size().bytes <= 3_000
        assert await store.check() == []
        await store.close()

    async def test_a_record_larger_than_the_budget_changes_nothing(self, store: Store) -> None:
        await store.put(record("a"))
        with pytest.raises(StoreFault, match="budget"):
            await store.put(record("a", reply=bytes(BYTES_MAX)))

        assert await store.reply("id-a") == b"reply of a"

    @pytest.mark.parametrize("vectors", [None, np.full((1, DIM), np.nan, np.float32), np.zeros((0, DIM), np.float32)])
    async def test_vectors_that_are_none_are_refused(self, store: Store, vectors: Vectors | None) -> None:
        with pytest.raises(StoreFault, match="vectors"):
            await store.put(record("a", vectors, space="space"))

        assert store.size().entries == 0

    async def test_the_secret_is_32_random_bytes(self, store: Store, tmp_path: Path, clock: Clock) -> None:
        other = self.open(tmp_path / "other", clock, BYTES_MAX)

        assert len(store.secret()) == 32
        assert store.secret() != other.secret()
        await other.close()

    # What an operator asks for

    async def test_every_entry_is_listed_with_what_it_weighs(self, store: Store, clock: Clock) -> None:
        await store.put(record("a", unit(1), expires_s=2_000.0))
        await store.put(record("b", partition="another question", tenant="9f31", prompts=("51ab",), files=("f",)))
        listed = await store.entries()

        assert {kept.entry.id for kept in listed} == {"id-a", "id-b"}
        assert sum(kept.bytes for kept in listed) == store.size().bytes
        assert record("b", partition="another question", tenant="9f31", prompts=("51ab",), files=("f",)).entry in [
            kept.entry for kept in listed
        ]
        clock.now_s = 2_000.0
        assert [kept.entry.id for kept in await store.entries()] == ["id-b"]

    async def test_resembling_finds_each_picture_in_any_partition_of_the_space(self, store: Store) -> None:
        await store.put(record("a", unit(1)))
        await store.put(record("b", pictures(unit(0, 1), unit(1, 0.1)), partition="another question"))
        await store.put(record("c", unit(1), space="another space"))
        await store.put(record("d"))
        await store.put(record("gone", unit(1)))
        await store.remove("id-gone")
        found = await store.resembling("space", unit(1), 0.9)

        assert {(one.entry.id, one.place) for one in found} == {("id-a", 0), ("id-b", 1)}
        assert sorted(round(one.similarity, 3) for one in found) == [0.995, 1.0]
        assert await store.resembling("space", unit(1)[:, :4], 0.0) == []

    async def test_erased_is_gone_everywhere_and_the_rest_stays(self, store: Store) -> None:
        for name, vector in (("a", unit(1)), ("b", unit(0, 1)), ("c", unit(0, 0, 1))):
            await store.put(record(name, vector))

        assert set(await store.erase(["id-a", "id-b", "id-a", "id-never"])) == {"id-a", "id-b"}
        assert await store.erase(["id-a"]) == []
        for name, vector in (("a", unit(1)), ("b", unit(0, 1))):
            assert await store.exact(f"exact-{name}") is None
            assert await store.pixel(f"pixel-{name}") is None
            assert await store.reply(f"id-{name}") is None
            assert await store.evidence(f"id-{name}") == ()
            assert await ids(store, vector) == []
            assert await store.resembling("space", vector, 0.5) == []
        assert await store.reply("id-c") == b"reply of c"
        assert [kept.entry.id for kept in await store.entries()] == ["id-c"]
        assert store.size().evicted == 0

    async def test_a_pair_that_is_apart_is_so_from_either_side(self, store: Store) -> None:
        await store.part(Pair(frozenset(("exact-a", "pixel-a")), frozenset(("exact-b", "pixel-b"))))
        await store.part(Pair(frozenset(("exact-b", "pixel-b")), frozenset(("exact-c",))))

        assert await store.parted(["exact-a"]) == {"exact-b", "pixel-b"}
        assert await store.parted(["pixel-b", "exact-b"]) == {"exact-a", "pixel-a", "exact-c"}
        assert await store.parted(["exact-d"]) == frozenset()
        assert store.size().apart == 2

    async def test_the_same_pair_is_one_whichever_side_comes_first(self, store: Store) -> None:
        one, other = frozenset(("exact-a",)), frozenset(("exact-b", "pixel-b"))
        await store.part(Pair(one, other))
        await store.part(Pair(other, one))

        assert store.size().apart == 1

    async def test_what_is_apart_outlives_both_answers(self, store: Store) -> None:
        await store.put(record("a"))
        await store.part(Pair(frozenset(("exact-a",)), frozenset(("exact-b",))))
        await store.erase(["id-a"])

        assert await store.parted(["exact-b"]) == {"exact-a"}

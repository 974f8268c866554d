import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.errors import StoreBusy, StoreFault
from cache.stores import embedded
from cache.stores.base import Store
from cache.stores.embedded import EmbeddedStore
from cache.stores.memory import MemoryStore
from tests.contracts.store_contract import BYTES_MAX, Clock, StoreContract, ids, pictures, record, unit


class TestEmbeddedStore(StoreContract):
    def open(self, directory: Path, clock: Clock, bytes_max: int) -> Store:
        return EmbeddedStore.open(directory, clock, bytes_max)

    async def test_everything_is_there_after_reopening(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        one = record("one", unit(1), reply=bytes(100_000), evidence=(b"x" * 50_000,))
        two = record("two", pictures(unit(1), unit(0, 1)), evidence=(b"", b"y"), sizes=((1, 2), (3, 4)))
        for put in (one, two, record("gone")):
            await store.put(put)
        await store.remove("id-gone")
        size, secret = store.size(), store.secret()
        await store.close()

        again = self.open(tmp_path / "store", clock, BYTES_MAX)
        assert (size, secret) == (again.size(), again.secret())
        for put in (one, two):
            assert put.entry == await again.exact(put.entry.exact)
            assert put.entry == await again.pixel(put.entry.pixel)
            assert put.reply == await again.reply(put.entry.id)
            assert put.evidence == await again.evidence(put.entry.id)
        assert await ids(again, unit(1)) == ["id-one"]
        assert await ids(again, pictures(unit(1), unit(0, 1))) == ["id-two"]
        assert await again.check() == []
        await again.close()

    async def test_what_expired_while_closed_is_gone(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        await store.put(record("a", unit(1), expires_s=2_000.0))
        await store.close()
        clock.now_s = 2_000.0

        again = self.open(tmp_path / "store", clock, BYTES_MAX)
        assert (again.size().entries, again.size().expired) == (0, 1)
        assert await ids(again, unit(1)) == []
        assert await again.check() == []
        await again.close()

    async def test_a_smaller_budget_is_kept_from_the_start(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        for name in "abc":
            await store.put(record(name, unit(1), reply=bytes(1_000)))
        await store.reply("id-a")
        await store.close()

        again = self.open(tmp_path / "store", clock, 2_500)
        assert await ids(again, unit(1)) == ["id-a"]
        assert (again.size().entries, again.size().evicted) == (1, 2)
        assert await again.check() == []
        await again.close()

    async def test_recency_survives_a_close(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        for name in "abc":
            await store.put(record(name, reply=bytes(1_000)))
        await store.reply("id-a")
        weight = store.size().bytes
        await store.close()

        again = self.open(tmp_path / "store", clock, weight)
        await again.put(record("d", reply=bytes(1_000)))
        assert await again.exact("exact-b") is None
        assert await again.reply("id-a") != b""
        await again.close()

    async def test_uses_are_written_in_batches(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "USES_PER_WRITE", 2)
        store = EmbeddedStore.open(tmp_path / "store", clock, BYTES_MAX)
        for name in "abcd":
            await store.put(record(name))
        written = []
        monkeypatch.setattr(store._rows, "write", lambda change: written.append(sorted(change.used)))
        for name in "aaab":
            await store.reply(f"id-{name}")
        await store.reply("id-c")
        await store.close()

        assert written == [["id-a", "id-b"], ["id-c"]]

    async def test_a_hot_reply_touches_no_disk(self, tmp_path: Path, clock: Clock) -> None:
        store = EmbeddedStore.open(tmp_path / "store", clock, BYTES_MAX)
        await store.put(record("a"))
        (tmp_path / "store" / "rows" / "cache.db").unlink()

        assert await store.reply("id-a") == b"reply of a"
        await store.close()

    async def test_a_cold_reply_is_read_from_disk(self, tmp_path: Path, clock: Clock) -> None:
        store = EmbeddedStore.open(tmp_path / "store", clock, BYTES_MAX, hot_bytes_max=0)
        await store.put(record("a"))

        assert await store.reply("id-a") == b"reply of a"
        await store.close()

    async def test_a_second_owner_is_refused(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        with pytest.raises(StoreBusy, match="in use by another process"):
            self.open(tmp_path / "store", clock, BYTES_MAX)
        await store.close()

        await self.open(tmp_path / "store", clock, BYTES_MAX).close()

    async def test_a_cancelled_put_is_whole_or_absent(self, store: Store) -> None:
        for count in range(30):
            task = asyncio.ensure_future(store.put(record(str(count), unit(1, count))))
            for _ in range(count % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert await store.check() == []
        kept = {f"id-{one}" for one in range(30) if await store.exact(f"exact-{one}")}

        assert kept == set(await ids(store, unit(1), floor=-1, most=100))

    async def test_many_tasks_at_once_leave_it_sound(self, store: Store, clock: Clock) -> None:
        async def one(number: int) -> None:
            name = str(number % 7)
            await store.put(record(name, unit(1, number), expires_s=clock.now_s + 1 + number % 3))
            await store.reply(f"id-{name}")
            if number % 5 == 0:
                clock.now_s += 0.5
                await store.remove(f"id-{number % 3}")
            await ids(store, unit(1))

        await asyncio.gather(*(one(number) for number in range(150)))

        assert await store.check() == []

    async def test_a_vanished_directory_is_a_fault_and_the_maps_stay(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        await store.put(record("a", unit(1)))
        before = store.size()
        (tmp_path / "store" / "rows" / "cache.db").unlink()

        with pytest.raises(StoreFault, match="writing"):
            await store.put(record("b", unit(1)))
        with pytest.raises(StoreFault):
            await store.put(record("a2", unit(1), exact="exact-a"))
        assert before == store.size()
        assert await ids(store, unit(1)) == ["id-a"]
        await store.close()

    async def test_a_full_disk_is_a_fault_and_room_ends_it(self, tmp_path: Path, clock: Clock) -> None:
        store = EmbeddedStore.open(tmp_path / "store", clock, 10**9)
        await store.put(record("a"))
        on_worker = store._threads.worker.submit
        # SQLite's own limit gives the same "database or disk is full" as a full disk.
        on_worker(lambda: store._rows._cache._sql("PRAGMA max_page_count = 60").fetchall()).result()
        with pytest.raises(StoreFault, match="full"):
            await store.put(record("b", unit(1), reply=bytes(1_000_000)))

        assert await store.exact("exact-b") is None
        on_worker(lambda: store._rows._cache._sql("PRAGMA max_page_count = 100000").fetchall()).result()
        await store.put(record("b", unit(1), reply=bytes(1_000_000)))
        assert await ids(store, unit(1)) == ["id-b"]
        assert await store.check() == []
        await store.close()

    async def test_a_closed_store_says_so(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        await store.close()
        await store.close()

        with pytest.raises(StoreFault, match="closed"):
            await store.put(record("a"))


# The same deeds to both stores must give the same answers.

_NAMES = st.sampled_from("abcdef")
_VECTORS = st.sampled_from(
    [None]
    + [unit(1, lean, other) for lean in (0, 0.11, 0.52) for other in (0, 0.23)]
    + [pictures(unit(1, lean), unit(1, 0, other)) for lean in (0, 0.31) for other in (0, 0.73)]
)
_DEEDS = st.one_of(
    st.tuples(
        st.just("put"),
        st.tuples(
            st.tuples(_NAMES, st.sampled_from("AB")),
            *(_NAMES, _NAMES, st.sampled_from("pq"), _VECTORS, st.integers(1, 9), st.integers(0, 900)),
        ),
    ),
    st.tuples(st.sampled_from(["reply", "remove", "exact", "pixel", "evidence", "asked"]), _NAMES),
    st.tuples(st.just("near"), st.tuples(st.sampled_from("pq"), _VECTORS, st.integers(1, 4))),
    st.tuples(st.just("pass"), st.integers(1, 4)),
    st.tuples(st.just("reopen"), st.none()),
)


async def _do(store: Store, deed: str, what: object) -> object:
    match deed, what:
        case "put", ((name, tenant), exact, pixel, partition, vectors, lives, size):
            number = 1 if vectors is None else len(vectors)
            await store.put(
                record(
                    name,
                    vectors,
                    reply=bytes(size),
                    exact=exact,
                    pixel=pixel,
                    partition=partition,
                    tenant=tenant,
                    expires_s=store.clock() + lives,  # type: ignore[attr-defined]
                    sizes=((4, 3),) * number,
                )
            )
        case "near", (partition, vectors, most):
            asked = unit(1) if vectors is None else vectors
            found = await store.nearest(partition, "space", asked, 0.9, most)
            return [(one.entry.id, round(one.similarity, 6)) for one in found]
        case (("reply" | "remove" | "evidence"), name):
            return await getattr(store, deed)(f"id-{name}")
        case "asked", name:
            return [await store.asked(name), await store.sized("p", ((4, 3),))]
        case _, name:
            return await getattr(store, deed)(name)
    return None


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(_DEEDS, min_size=5, max_size=40), bytes_max=st.sampled_from([2_500, 100_000]))
def test_it_answers_as_the_reference_does(
    deeds: list[tuple[str, object]], bytes_max: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def compare() -> None:
        clock = Clock()
        path = tmp_path_factory.mktemp("same")
        reference: Store = MemoryStore(clock, bytes_max)
        store: Store = EmbeddedStore.open(path, clock, bytes_max, hot_bytes_max=300)
        for deed, what in deeds:
            if deed == "pass":
                assert isinstance(what, int)
                clock.now_s += what
            elif deed == "reopen":
                await store.close()
                store = EmbeddedStore.open(path, clock, bytes_max)
            else:
                for one in (reference, store):
                    one.clock = clock  # type: ignore[attr-defined]
                assert await _do(reference, deed, what) == await _do(store, deed, what)
            mine, theirs = store.size(), reference.size()
            assert (theirs.entries, theirs.bytes) == (mine.entries, mine.bytes)
            assert {one.entry for one in await reference.entries()} == {one.entry for one in await store.entries()}
        assert await store.check() == []
        await store.close()

    asyncio.run(compare())


def test_a_search_of_the_wrong_width_finds_nothing(tmp_path: Path) -> None:
    async def search() -> None:
        store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
        await store.put(record("a", unit(1)))
        assert await ids(store, np.ones((1, 3), np.float32)) == []
        await store.close()

    asyncio.run(search())

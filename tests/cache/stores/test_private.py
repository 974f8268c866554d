"""A store that writes nothing which can show a picture: the contract, what a restart costs, and every byte on disk."""

import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from cache.entry import Record
from cache.errors import StoreFault
from cache.stores import disk
from cache.stores.base import Store, weigh
from cache.stores.disk import Rows
from cache.stores.embedded import EmbeddedStore
from cache.stores.looks import OVERHEAD_BYTES
from cache.stores.private import PrivateStore
from tests.contracts.store_contract import BYTES_MAX, Clock, StoreContract, ids, record, unit

PIECE = b"\xff\xd8\xff\xe0 a piece of evidence that shows the picture " * 200
VECTOR = unit(*(number / 7 for number in range(1, 17)))


def shown() -> list[bytes]:
    """What must not be found on disk, cut small: a page boundary may fall anywhere."""
    raw = np.ascontiguousarray(VECTOR, "<f4").tobytes()
    return [PIECE[:48], b"shows the picture", raw[:24], raw[-24:]]


def bytes_under(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


class TestPrivateStore(StoreContract):
    def open(self, directory: Path, clock: Clock, bytes_max: int) -> PrivateStore:
        return PrivateStore.open(directory, clock, bytes_max, looks_bytes_max=10_000_000)

    def weight(self, record: Record) -> int:
        return weigh(record.without_looks(), BYTES_MAX)

    # What a restart costs

    async def test_after_reopening_answers_are_found_by_bytes_and_pixels_and_not_near(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        put = record("a", VECTOR, evidence=(PIECE,))
        await store.put(put)
        assert await ids(store, VECTOR) == ["id-a"]
        size, secret = store.size(), store.secret()
        await store.close()

        again = self.open(tmp_path / "store", clock, BYTES_MAX)
        assert (size, secret) == (again.size(), again.secret())
        assert await again.reply("id-a") == put.reply
        assert await again.exact("exact-a") == await again.pixel("pixel-a") == put.without_looks().entry
        assert await again.sized("question", ((640, 480),))
        assert await ids(again, VECTOR) == []
        assert await again.evidence("id-a") == ()
        assert await again.check() == []

        # Asked and answered anew, it is near again.
        await again.put(record("b", VECTOR, exact="exact-a", evidence=(PIECE,)))
        assert await ids(again, VECTOR) == ["id-b"]
        assert await again.evidence("id-b") == (PIECE,)
        assert await again.check() == []
        await again.close()

    # Every byte on disk

    @pytest.mark.parametrize("closed", [False, True])
    async def test_nothing_on_disk_shows_a_picture(self, tmp_path: Path, clock: Clock, closed: bool) -> None:
        store = self.open(tmp_path / "store", clock, 60_000)
        for number in range(40):  # more than there is room for: rows are evicted, replaced and removed
            await store.put(record(str(number), VECTOR, evidence=(PIECE,), reply=b"said of it " * 200))
        await store.put(record("again", VECTOR, exact="exact-39", evidence=(PIECE,)))
        await store.remove("id-38")
        if closed:
            await store.close()
        written = bytes_under(tmp_path / "store")

        assert b"said of it" in written
        for piece in shown():
            assert piece not in written
        await store.close()

    async def test_the_search_for_it_finds_what_a_standard_store_writes(self, tmp_path: Path, clock: Clock) -> None:
        store = EmbeddedStore.open(tmp_path / "store", clock, BYTES_MAX)
        await store.put(record("a", VECTOR, evidence=(PIECE,)))
        written = bytes_under(tmp_path / "store")

        assert all(piece in written for piece in shown())
        await store.close()

    # A standard store, opened as a strict one

    async def test_what_a_standard_store_wrote_is_erased(
        self, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept = await standard_store(tmp_path / "store", clock)
        with caplog.at_level(logging.INFO):
            store = self.open(tmp_path / "store", clock, BYTES_MAX)
        written = bytes_under(tmp_path / "store")

        assert "evidence of 3 stored answers are erased" in caplog.text
        for piece in shown():
            assert piece not in written
        assert await store.check() == []
        assert store.size().entries == len(kept)
        assert store.size().set_aside == 0
        for one in kept:
            assert await store.reply(one.entry.id) == one.reply
            assert await store.exact(one.entry.exact) == one.without_looks().entry
        await store.close()

        caplog.clear()
        await self.open(tmp_path / "store", clock, BYTES_MAX).close()
        assert caplog.text == ""

    async def test_the_order_of_use_outlives_the_erasure(self, tmp_path: Path, clock: Clock) -> None:
        await standard_store(tmp_path / "store", clock)
        store = self.open(tmp_path / "store", clock, self.weight(record("a")) + 10)

        assert await store.exact("exact-a") is not None
        assert store.size().entries == 1
        await store.close()

    async def test_damaged_rows_and_rows_set_aside_are_erased_with_all_that_they_hold(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        await standard_store(tmp_path / "store", clock)
        with sqlite3.connect(tmp_path / "store" / "rows" / "cache.db") as connection:
            connection.execute("UPDATE Cache SET value = value || x'00' WHERE key = 'head/id-a'")
            connection.execute("UPDATE Cache SET key = 'corrupt/1/evidence/id-b' WHERE key = 'evidence/id-b'")
            connection.execute("UPDATE Cache SET key = x'00ff', raw = 0 WHERE key = 'evidence/id-c'")
        connection.close()
        store = self.open(tmp_path / "store", clock, BYTES_MAX)
        written = bytes_under(tmp_path / "store")

        for piece in shown():
            assert piece not in written
        assert await store.exact("exact-a") is None
        assert await store.reply("id-b") == b"reply of b"
        assert await store.reply("id-c") == b"reply of c"
        assert await store.check() == []
        await store.close()

    async def test_an_erasure_that_broke_off_is_done_again(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await standard_store(tmp_path / "store", clock)

        class Killed(BaseException): ...

        def killed(rows: Rows) -> None:
            with rows._transaction() as sql:
                sql("DELETE FROM Cache WHERE key >= 'evidence/' AND key < 'evidence0'")
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Rows, "erase_looks", killed)
            with pytest.raises(Killed):
                self.open(tmp_path / "store", clock, BYTES_MAX)
        assert any(piece in bytes_under(tmp_path / "store") for piece in shown())

        await self.open(tmp_path / "store", clock, BYTES_MAX).close()
        assert not any(piece in bytes_under(tmp_path / "store") for piece in shown())

    async def test_strict_again_after_a_while_as_standard_is_erased_again(self, tmp_path: Path, clock: Clock) -> None:
        await self.open(tmp_path / "store", clock, BYTES_MAX).close()
        await standard_store(tmp_path / "store", clock)
        await self.open(tmp_path / "store", clock, BYTES_MAX).close()

        assert not any(piece in bytes_under(tmp_path / "store") for piece in shown())

    async def test_what_another_program_holds_open_is_not_said_to_be_erased(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disk, "BUSY_S", 0.1)
        await standard_store(tmp_path / "store", clock)
        reader = sqlite3.connect(tmp_path / "store" / "rows" / "cache.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM Cache").fetchall()
        with pytest.raises(StoreFault, match="another program has it open"):
            self.open(tmp_path / "store", clock, BYTES_MAX)
        reader.close()

        await self.open(tmp_path / "store", clock, BYTES_MAX).close()
        assert not any(piece in bytes_under(tmp_path / "store") for piece in shown())

    # Memory

    async def test_the_looks_used_least_lately_leave_first_and_their_answers_stay(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        each = len(PIECE) + VECTOR.nbytes + OVERHEAD_BYTES
        store = PrivateStore.open(tmp_path / "store", clock, BYTES_MAX, looks_bytes_max=2 * each)
        for name in "ab":
            await store.put(record(name, VECTOR, evidence=(PIECE,)))
        await store.reply("id-a")
        await store.put(record("c", VECTOR, evidence=(PIECE,)))

        assert set(await ids(store, VECTOR)) == {"id-a", "id-c"}
        assert await store.evidence("id-b") == ()
        assert await store.reply("id-b") == b"reply of b"
        assert await store.check() == []
        await store.close()

    async def test_one_tenants_looks_do_not_push_out_anothers(self, tmp_path: Path, clock: Clock) -> None:
        each = len(PIECE) + VECTOR.nbytes + OVERHEAD_BYTES
        store = PrivateStore.open(tmp_path / "store", clock, BYTES_MAX, looks_bytes_max=4 * each)
        await store.put(record("mine", VECTOR, evidence=(PIECE,), tenant="quiet"))
        for number in range(9):
            await store.put(record(str(number), VECTOR, evidence=(PIECE,), tenant="flood"))

        assert set(await ids(store, VECTOR)) == {"id-mine", "id-6", "id-7", "id-8"}
        assert await store.check() == []
        await store.close()

    async def test_looks_larger_than_the_budget_push_no_others_out(self, tmp_path: Path, clock: Clock) -> None:
        store = PrivateStore.open(tmp_path / "store", clock, BYTES_MAX, looks_bytes_max=20_000)
        await store.put(record("a", VECTOR, evidence=(PIECE,)))
        await store.put(record("b", VECTOR, evidence=(PIECE, PIECE, PIECE)))

        assert await ids(store, VECTOR) == ["id-a"]
        await store.close()

    async def test_looks_leave_memory_with_their_entry(self, tmp_path: Path, clock: Clock) -> None:
        store = self.open(tmp_path / "store", clock, 3 * self.weight(record("0", VECTOR)))
        for number in range(9):
            await store.put(record(str(number), VECTOR, expires_s=2_000.0))
        assert len(store._looks) == 3

        clock.now_s = 2_000.0
        assert await ids(store, VECTOR) == []
        assert (len(store._looks), store._looks.bytes) == (0, 0)
        await store.close()


async def standard_store(directory: Path, clock: Clock) -> list[Record]:
    """A closed store of three answers about pictures and one about none; `a` was used last, another was removed."""
    store: Store = EmbeddedStore.open(directory, clock, BYTES_MAX)
    kept = [record(name, VECTOR, evidence=(PIECE,)) for name in "abc"] + [record("plain", evidence=())]
    for one in [*kept, record("gone", VECTOR, evidence=(PIECE,))]:
        await store.put(one)
    await store.remove("id-gone")
    await store.reply("id-a")
    await store.close()
    return kept

"""What a durable store erases is in none of its files, and what it holds apart outlives a restart."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from cache.errors import StoreFault
from cache.stores import disk
from cache.stores.apart import Pair
from cache.stores.disk import Rows
from cache.stores.embedded import EmbeddedStore
from tests.cache.stores.test_private import bytes_under
from tests.contracts.store_contract import BYTES_MAX, Clock, record, unit

pytestmark = pytest.mark.anyio


async def test_what_is_apart_is_so_after_reopening_and_a_damaged_pair_is_set_aside(tmp_path: Path) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    for other in ("b", "c"):
        await store.part(Pair(frozenset(("exact-a", "pixel-a")), frozenset((f"exact-{other}",))))
    await store.close()
    with sqlite3.connect(tmp_path / "rows" / "cache.db") as connection:
        (damaged,) = connection.execute("SELECT min(key) FROM Cache WHERE key LIKE 'apart/%'").fetchone()
        connection.execute("UPDATE Cache SET value = value || x'00' WHERE key = ?", (damaged,))
    connection.close()

    again = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    assert len(await again.parted(["pixel-a"])) == 1
    assert again.size().apart == 1
    assert await again.check() == []
    await again.close()


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_of_what_was_erased_or_left_before_is_in_any_file(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    store = EmbeddedStore.open(tmp_path, Clock(), 400_000)
    alive: set[str] = set()

    def traces(name: str) -> list[bytes]:
        return [f"reply<{name}>".encode(), f"evidence<{name}>".encode(), f"id-{name}".encode()]

    for number in range(150):
        name = f"{number:04}"
        reply, piece = traces(name)[:2]
        lengths = [int(2 ** random.uniform(0, 9)) for _ in range(2)]
        put = record(name, unit(number, 1), reply=reply * lengths[0], evidence=(piece * lengths[1],))
        await store.put(put)
        alive.add(name)
        if random.random() < 0.3:
            alive -= {gone := str(random.choice(sorted(alive)))}
            await store.remove(f"id-{gone}")
    alive = {kept.entry.id.removeprefix("id-") for kept in await store.entries()}
    erased = set(sorted(alive)[::2])
    assert len(erased) > 5
    await store.erase([f"id-{name}" for name in erased])
    written = bytes_under(tmp_path)

    left = {f"{number:04}" for number in range(150)} - (alive - erased)
    assert [trace for name in left for trace in traces(name) if trace in written] == []
    assert all(trace in written for name in alive - erased for trace in traces(name))
    assert await store.check() == []
    await store.close()
    again = EmbeddedStore.open(tmp_path, Clock(), 400_000)
    assert {kept.entry.id for kept in await again.entries()} == {f"id-{name}" for name in alive - erased}
    assert await again.check() == []
    await again.close()


async def test_rows_that_were_set_aside_are_erased_too(tmp_path: Path) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    await store.put(record("a", reply=b"said of a picture"))
    await store.close()
    with sqlite3.connect(tmp_path / "rows" / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = value || x'00' WHERE key = 'head/id-a'")
    connection.close()
    again = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    await again.erase([])

    assert b"said of a picture" not in bytes_under(tmp_path)
    await again.close()


async def test_answers_are_read_from_disk_while_it_erases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end, scrub = threading.Event(), threading.Event(), Rows.scrub

    def slow(rows: Rows) -> None:
        begun.set()
        end.wait()
        scrub(rows)

    monkeypatch.setattr(Rows, "scrub", slow)
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX, hot_bytes_max=0)
    for name in "abc":
        await store.put(record(name, unit(1)))
    erasing = asyncio.ensure_future(store.erase(["id-a"]))
    await asyncio.to_thread(begun.wait)
    putting = asyncio.ensure_future(store.put(record("d")))

    assert await store.reply("id-a") is None
    assert await store.reply("id-b") == b"reply of b"
    assert await store.evidence("id-c") == (b"what the guard needs",)
    assert not erasing.done()
    end.set()
    assert await erasing == ["id-a"]
    await putting
    assert await store.reply("id-d") == b"reply of d"
    assert await store.check() == []
    await store.close()


async def test_what_another_program_holds_open_is_not_said_to_be_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "BUSY_S", 0.05)
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    await store.put(record("a"))
    with sqlite3.connect(tmp_path / "rows" / "cache.db") as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM Cache").fetchone()
        with pytest.raises(StoreFault, match="another program"):
            await store.erase(["id-a"])
        connection.rollback()
    connection.close()

    assert await store.reply("id-a") is None
    assert await store.erase([]) == []  # asked again, it is done
    assert b"reply of a" not in bytes_under(tmp_path)
    await store.close()

"""What a damaged store does: it opens, serves the rest, and says what it set aside."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import diskcache
import pytest

from cache.entry import pack, pack_head
from cache.stores.embedded import EmbeddedStore
from tests.contracts.store_contract import BYTES_MAX, Clock, ids, record, unit

pytestmark = pytest.mark.anyio


def sql(directory: Path, statement: str, *given: object) -> int:
    connection = sqlite3.connect(directory / "rows" / "cache.db")
    with connection:
        changed = connection.execute(statement, given).rowcount
    connection.close()
    return changed


def flip(directory: Path, key: str) -> None:
    """Change one bit in the middle of a row's value."""
    connection = sqlite3.connect(directory / "rows" / "cache.db")
    with connection:
        ((value,),) = connection.execute("SELECT value FROM Cache WHERE key = ?", (key,))
        middle = len(value) // 2
        damaged = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        connection.execute("UPDATE Cache SET value = ? WHERE key = ?", (damaged, key))
    connection.close()


def plant(key: object, value: object) -> Callable[[Path], None]:
    def planted(directory: Path) -> None:
        with diskcache.Cache(str(directory / "rows")) as plain:
            plain.set(key, value)

    return planted


def run(statement: str, *given: object) -> Callable[[Path], None]:
    def done(directory: Path) -> None:
        sql(directory, statement, *given)

    return done


OTHER = record("another")
DAMAGE: dict[str, Callable[[Path], None]] = {
    "head flipped": lambda directory: flip(directory, "head/id-a"),
    "head pickled": plant("head/id-a", {"not": "bytes"}),
    "head a text": run("UPDATE Cache SET value = CAST(x'ff00' AS TEXT) WHERE key = 'head/id-a'"),
    "head of another": plant("head/id-a", pack({"bytes": 1, "evidence": 1}, pack_head(OTHER.entry, None))),
    "head of nonsense": plant("head/id-a", pack({}, pack_head(record("a").entry, None))),
    "head gone": run("DELETE FROM Cache WHERE key = 'head/id-a'"),
    "reply gone": run("DELETE FROM Cache WHERE key = 'reply/id-a'"),
    "evidence gone": run("DELETE FROM Cache WHERE key = 'evidence/id-a'"),
    "key no text": run("UPDATE Cache SET key = CAST(x'fffe' AS TEXT) WHERE key = 'head/id-a'"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_entry_is_set_aside_when_the_store_opens(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    for name in "ab":
        await store.put(record(name, unit(1)))
    await store.close()
    damage(tmp_path)

    again = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    assert await ids(again, unit(1)) == ["id-b"]
    assert await again.exact("exact-a") is None
    assert await again.reply("id-b") == b"reply of b"
    assert await again.check() == []
    assert "set aside" in caplog.text
    await again.put(record("a", unit(1)))  # its keys are free again
    assert sorted(await ids(again, unit(1))) == ["id-a", "id-b"]
    await again.close()

    third = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)  # what is set aside stays aside
    assert (third.size().entries, third.size().set_aside) == (2, 0)
    await third.close()


@pytest.mark.parametrize("row", ["reply", "evidence"])
@pytest.mark.parametrize("kind", ["flipped", "missing", "pickled"])
async def test_a_damaged_row_is_set_aside_when_it_is_read(tmp_path: Path, row: str, kind: str) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX, hot_bytes_max=0)
    for name in "ab":
        await store.put(record(name, unit(1)))
    if kind == "flipped":
        flip(tmp_path, f"{row}/id-a")
    elif kind == "missing":
        sql(tmp_path, "DELETE FROM Cache WHERE key = ?", f"{row}/id-a")
    else:
        plant(f"{row}/id-a", ["not bytes"])(tmp_path)
    assert await store.check() != []

    assert not await getattr(store, row)("id-a")
    assert store.size().set_aside == 1
    assert await store.exact("exact-a") is None
    assert await ids(store, unit(1)) == ["id-b"]
    assert await store.check() == []
    await store.close()
    assert sql(tmp_path, "UPDATE Cache SET tag = 1 WHERE key LIKE 'corrupt/%/id-a'") >= 2


async def test_two_entries_under_one_exact_key_leave_the_later(tmp_path: Path) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    await store.put(record("a", unit(1)))
    store._index.drop("id-a")  # as if a bug had forgotten it
    await store.put(record("b", unit(1), exact="exact-a"))
    await store.close()

    again = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    assert await ids(again, unit(1)) == ["id-b"]
    assert (again.size().entries, again.size().set_aside) == (1, 1)
    assert await again.check() == []
    await again.close()


CHANGES: dict[str, Callable[[EmbeddedStore, Path], object]] = {
    "is missing": lambda store, path: sql(path, "DELETE FROM Cache WHERE key = 'reply/id-a'"),
    "belongs to no entry": lambda store, path: plant("reply/nobody", b"")(path),
    "is corrupt": lambda store, path: flip(path, "evidence/id-a"),
    "vectors are held": lambda store, path: store._vectors.remove(*group_and_number(store)),
    "index of exact keys": lambda store, path: store._index._exact.clear(),
    "index of bytes": lambda store, path: setattr(store._index._shares, "bytes", 5),
    "Settings.count": lambda store, path: sql(path, "UPDATE Settings SET value = 77 WHERE key = 'count'"),
}


def group_and_number(store: EmbeddedStore):
    held = store._index.get("id-a")
    assert held is not None
    return held.group, held.number


@pytest.mark.parametrize("complaint", CHANGES.keys())
async def test_check_names_what_disagrees(tmp_path: Path, complaint: str) -> None:
    store = EmbeddedStore.open(tmp_path, Clock(), BYTES_MAX)
    await store.put(record("a", unit(1)))
    assert await store.check() == []
    CHANGES[complaint](store, tmp_path)

    assert complaint in " ".join(await store.check())
    await store.close()

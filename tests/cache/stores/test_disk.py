import pickle
import sqlite3
from pathlib import Path

import diskcache
import pytest

from cache.errors import CorruptRow, StoreFault
from cache.stores.disk import BytesDisk, Change, Rows
from tests.contracts.store_contract import record, unit


@pytest.fixture
def rows(tmp_path: Path):
    rows = Rows(tmp_path)
    yield rows
    rows.close()


class Bomb:
    """Unpickling this leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def sql(directory: Path, statement: str, *given: object) -> list[tuple[object, ...]]:
    with sqlite3.connect(directory / "cache.db") as connection:
        found = connection.execute(statement, given).fetchall()
    connection.close()
    return found


def test_a_planted_pickle_is_refused_and_never_executed(tmp_path: Path, rows: Rows) -> None:
    rows.write(Change(record("a"), 1))
    trace = tmp_path / "executed"
    with diskcache.Cache(str(tmp_path)) as plain:
        plain.set("reply/id-a", Bomb(trace))
        plain.set("head/id-b", Bomb(trace))
        plain.set((Bomb(trace), 1), b"under a pickled key")
    assert sql(tmp_path, "SELECT count(*) FROM Cache WHERE mode = 4")[0][0] == 2

    with pytest.raises(CorruptRow):
        rows.reply("id-a")
    with pytest.raises(CorruptRow):
        rows.head("id-b")
    assert {entry_id: head is not None for _, entry_id, _, head in rows.heads()} == {"id-a": True, "id-b": False}
    assert None in [key for _, key in rows.listing()]
    with pytest.raises(CorruptRow):
        list(rows._cache)
    assert not trace.exists()


def test_nothing_is_ever_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: object, **named: object) -> None:
        raise AssertionError("pickled")

    for name in ("dumps", "dump", "loads", "load"):
        monkeypatch.setattr(pickle, name, never)
    for _ in range(2):
        rows = Rows(tmp_path)
        rows.write(Change(record("a", unit(1)), 1, drop=("id-a",), used={"id-a": 3}))
        assert rows.reply("id-a") == b"reply of a"
        assert rows.complaints() == []
        rows.close()
    kinds = {kind for (kind,) in sql(tmp_path, "SELECT typeof(value) FROM Settings")}
    assert kinds <= {"integer", "text"}


@pytest.mark.parametrize("value", ["text", 5, 2.5, None, bytearray(b"x"), ["list"]])
def test_only_bytes_are_stored(rows: Rows, value: object) -> None:
    with pytest.raises(TypeError, match="values are bytes"):
        rows._cache.set("key", value)


@pytest.mark.parametrize("key", [b"bytes", 5, 2.5, None, ("a", "tuple")])
def test_only_text_is_a_key(rows: Rows, key: object) -> None:
    with pytest.raises(TypeError, match="keys are str"):
        rows._cache.set(key, b"")


def test_no_file_is_ever_written(tmp_path: Path, rows: Rows) -> None:
    rows.write(Change(record("a", reply=bytes(1_000_000)), 1))

    assert {"cache.db", "cache.db-wal", "cache.db-shm"} == {path.name for path in tmp_path.rglob("*")}
    with pytest.raises(TypeError, match="never kept in files"):
        BytesDisk(str(tmp_path)).filename()


def test_a_change_is_written_whole_or_not_at_all(tmp_path: Path, rows: Rows) -> None:
    rows.write(Change(record("a"), 1))
    sql(
        tmp_path,
        "CREATE TRIGGER refuse BEFORE INSERT ON Cache WHEN NEW.key LIKE 'evidence/%'"
        " BEGIN SELECT RAISE(FAIL, 'no room'); END",
    )
    before = rows.listing()
    with pytest.raises(StoreFault, match="no room"):
        rows.write(Change(record("b"), 1, drop=("id-a",)))

    assert before == rows.listing()
    sql(tmp_path, "DROP TRIGGER refuse")
    rows.write(Change(record("b"), 1, drop=("id-a",)))
    assert sorted(str(key) for _, key in rows.listing()) == ["evidence/id-b", "head/id-b", "reply/id-b"]


def test_a_locked_database_is_a_fault(tmp_path: Path, rows: Rows) -> None:
    rows._cache._con.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFault):
        rows.write(Change(record("a"), 1))
    other.execute("ROLLBACK")
    other.close()

    rows.write(Change(record("a"), 1))


def test_what_is_no_database_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database at all" * 1_000)

    with pytest.raises(StoreFault, match="opening the database"):
        Rows(tmp_path)


def test_freed_pages_are_given_back_when_it_opens(tmp_path: Path) -> None:
    rows = Rows(tmp_path)
    for count in range(20):
        rows.write(Change(record(str(count), reply=bytes(100_000)), 1))
    rows.write(Change(drop=tuple(f"id-{count}" for count in range(19))))
    rows.close()
    large = (tmp_path / "cache.db").stat().st_size

    Rows(tmp_path).close()
    assert (tmp_path / "cache.db").stat().st_size < large / 5

"""Which files and batches there are, on disk: SQLite. Blocking; any thread may call, one at a time works.

One row for each, as JSON beside the columns by which it is found. A change is durable when it returns. No credential
is ever here, and no line of a file; ids that users gave their lines may be, in what was wrong with them.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from cache.errors import StoreFault
from gateway.batches.objects import OPEN, Batch, File, Status
from gateway.question import Object

_VERSION: Final = 1
_FILE, _BATCH = "file", "batch"
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS records (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
        word TEXT NOT NULL, goes INTEGER, facts BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS by_tenant ON records (kind, tenant, seq);
    CREATE INDEX IF NOT EXISTS by_word ON records (kind, word);
"""
_PUT: Final = """
    INSERT INTO records (kind, id, tenant, word, goes, facts) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET word = excluded.word, goes = excluded.goes, facts = excluded.facts
"""
_IS_OPEN: Final = f"word IN ({', '.join(repr(status.value) for status in OPEN)})"


class NoSuchPlace(Exception):
    """A page was asked for that begins after something which is not there."""


class Register:
    def __init__(self, rows: sqlite3.Connection) -> None:
        self._rows = rows
        self._turn = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> "Register":
        """Raises StoreFault in words."""
        try:
            if not path.exists():
                path.touch(0o600)
            rows = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreFault(f"the list of batches {path} cannot be opened: {error}") from error
        try:
            (version,) = rows.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise StoreFault(f"{path} has the version {version}, and this gateway reads {_VERSION}")
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute("PRAGMA synchronous = FULL")
            rows.executescript(_SCHEMA)
            rows.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.Error as error:
            rows.close()
            raise StoreFault(
                f"the list of batches {path} cannot be read ({error}): move {path.parent} away to start without them"
            ) from error
        except StoreFault:
            rows.close()
            raise
        return cls(rows)

    def close(self) -> None:
        self._rows.close()

    def add(self, *things: File | Batch) -> None:
        """All of them or none; each in place of what was known of it. Raises sqlite3.Error."""
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.executemany(_PUT, map(_row, things))

    def change(self, name: str, change: Callable[[Batch], Batch]) -> Batch:
        """What `change` makes of the batch, which is kept. Raises KeyError, sqlite3.Error and what `change` does."""
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            found = self._rows.execute("SELECT facts FROM records WHERE id = ?", (name,)).fetchone()
            if found is None:
                raise KeyError(name)
            changed = change(Batch.of(orjson.loads(found[0])))
            self._rows.execute(_PUT, _row(changed))
        return changed

    def forget(self, names: Iterable[str]) -> None:
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.executemany("DELETE FROM records WHERE id = ?", [(name,) for name in names])

    def file(self, name: str, tenant: str) -> File | None:
        """This tenant's file of that id."""
        found = self._facts("kind = ? AND id = ? AND tenant = ?", (_FILE, name, tenant))
        return File(**found[0]) if found else None

    def batch(self, name: str, tenant: str | None = None) -> Batch | None:
        """This tenant's batch of that id; without a tenant, anybody's."""
        found = self._facts("kind = ? AND id = ? AND tenant = coalesce(?, tenant)", (_BATCH, name, tenant))
        return Batch.of(found[0]) if found else None

    def files(self, tenant: str, after: str | None, limit: int, newest_first: bool, purpose: str | None) -> list[File]:
        """A page of them. Raises NoSuchPlace."""
        return [File(**facts) for facts in self._page(_FILE, tenant, after, limit, newest_first, purpose)]

    def batches(self, tenant: str, after: str | None, limit: int) -> list[Batch]:
        """A page of them, newest first. Raises NoSuchPlace."""
        return [Batch.of(facts) for facts in self._page(_BATCH, tenant, after, limit, True, None)]

    def open_batches(self) -> list[Batch]:
        """Those that are not over, oldest first."""
        return list(map(Batch.of, self._facts(f"kind = ? AND {_IS_OPEN}", (_BATCH,))))

    def has_open(self, tenant: str) -> bool:
        query = f"SELECT 1 FROM records WHERE kind = ? AND tenant = ? AND {_IS_OPEN} LIMIT 1"
        with self._turn:
            return self._rows.execute(query, (_BATCH, tenant)).fetchone() is not None

    def input_of(self, file: str) -> list[str]:
        """Batches that are not over and have this file as their input."""
        return [batch.id for batch in self.open_batches() if batch.input_file_id == file]

    def due(self, now_s: float) -> list[str]:
        """Files and batches whose time is over. The input of a batch stays until that is over, too."""
        needed = {batch.input_file_id for batch in self.open_batches()}
        with self._turn:
            found = self._rows.execute("SELECT id FROM records WHERE goes <= ?", (int(now_s),)).fetchall()
        return [name for (name,) in found if name not in needed]

    def file_names(self) -> set[str]:
        with self._turn:
            return {name for (name,) in self._rows.execute("SELECT id FROM records WHERE kind = ?", (_FILE,))}

    def by_status(self) -> dict[Status, int]:
        query = "SELECT word, count(*) FROM records WHERE kind = ? GROUP BY word"
        with self._turn:
            return {Status(word): count for word, count in self._rows.execute(query, (_BATCH,))}

    def _page(
        self, kind: str, tenant: str, after: str | None, limit: int, newest_first: bool, word: str | None
    ) -> list[Object]:
        order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        where, values = "kind = ? AND tenant = ? AND word = coalesce(?, word)", [kind, tenant, word]
        if after is not None:
            with self._turn:
                query = "SELECT seq FROM records WHERE id = ? AND tenant = ?"
                found = self._rows.execute(query, (after, tenant)).fetchone()
            if found is None:
                raise NoSuchPlace(after)
            where += f" AND seq {beyond} {int(found[0])}"
        return self._facts(where, values, f"seq {order} LIMIT {int(limit)}")

    def _facts(self, where: str, values: Iterable[object], order: str = "seq") -> list[Object]:
        query = f"SELECT facts FROM records WHERE {where} ORDER BY {order}"
        with self._turn:
            return [orjson.loads(facts) for (facts,) in self._rows.execute(query, tuple(values))]


def _row(thing: File | Batch) -> tuple[str, str, str, str, int | None, bytes]:
    match thing:
        case File():
            return _FILE, thing.id, thing.tenant, thing.purpose, thing.expires_s, orjson.dumps(asdict(thing))
        case Batch():
            return _BATCH, thing.id, thing.tenant, thing.status, thing.goes_s, orjson.dumps(asdict(thing))

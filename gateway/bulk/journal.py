"""What has been asked, and what came of it, on disk: the one thing that a run must not lose. SQLite.

Rule: an item has at most one result, and a result that was kept is there after any end of the process or the machine.
SQLite's write-ahead log gives both: it is append-only, each commit is synced, and a torn end is left out when it is
read again. What only this run needs (which ids were read, who waits for a first) is in tables on disk that go with it,
so that memory stays bounded. No credential is ever here; a question is here as a digest, its answer as it came.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import orjson

from gateway.bulk.items import Answer, BadInput, Failure, GaveUp, Item, Result

_VERSION: Final = "1"
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS results (
        id TEXT PRIMARY KEY, mark BLOB NOT NULL, failed INTEGER NOT NULL, facts BLOB NOT NULL, body BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS later (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TEMP TABLE lines (
        id TEXT PRIMARY KEY, line INTEGER NOT NULL, later INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
"""


class State(StrEnum):
    """What a journal knows of an item."""

    OPEN = "open"
    ANSWERED = "answered"
    FAILED = "failed"
    ANOTHER = "another"  # the id has a result, of another question


class Journal:
    """The results of one run, over all its resumptions. Any thread may call; one at a time works."""

    def __init__(self, path: Path, rows: sqlite3.Connection, recalls: bool) -> None:
        self.path = path
        self._rows = rows
        self._recalls = recalls  # what an earlier run has put off
        self._turn = threading.Lock()

    @classmethod
    def open(cls, path: Path, about: Mapping[str, str], fleeting: bool = False) -> Self:
        """The journal in `path`, which is made if it is not there (but not if it is `fleeting`: then it goes with the
        process). Raises BadInput in words: if another run has it, or if it belongs to one that differs in `about`."""
        place = "" if fleeting and not path.exists() else str(path)
        try:
            rows = sqlite3.connect(place, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise BadInput(f"the journal {path} cannot be opened: {error}") from error
        try:
            rows.execute("PRAGMA locking_mode = EXCLUSIVE")  # one run at a time; the lock ends with the process
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute("PRAGMA synchronous = FULL")
            rows.execute("PRAGMA temp_store = FILE")  # whatever the build's default is
            rows.executescript(_SCHEMA)
            _compare(path, rows, {"version": _VERSION, **about})
        except sqlite3.OperationalError as error:
            rows.close()
            if "locked" in str(error):
                raise BadInput(f"another run is at work on the journal {path}") from error
            raise BadInput(f"the journal {path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            rows.close()
            raise BadInput(f"{path} is no journal of ours, or is damaged ({error}): name another") from error
        except BadInput:
            rows.close()
            raise
        return cls(path, rows, recalls=not fleeting)

    def close(self) -> None:
        self._rows.close()

    def remove(self) -> None:
        """Close it and take its files away."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    # What this run has read.

    def setdefault(self, key: str, default: int, /) -> int:
        """As a dict's: the line where this id was first read."""
        with self._turn:
            self._rows.execute(
                "INSERT OR IGNORE INTO lines VALUES (?, ?, ? AND EXISTS (SELECT 1 FROM later WHERE id = ?))",
                (key, default, self._recalls, key),
            )
            return int(self._rows.execute("SELECT line FROM lines WHERE id = ?", (key,)).fetchone()[0])

    def put_off(self, item: Item) -> None:
        """To be asked once the others are answered."""
        with self._turn:
            self._rows.execute("UPDATE lines SET later = 1 WHERE id = ?", (item.id,))

    def is_put_off(self, item: Item) -> bool:
        with self._turn:
            row = self._rows.execute("SELECT later FROM lines WHERE id = ?", (item.id,)).fetchone()
        return bool(row and row[0])

    def count_put_off(self) -> int:
        with self._turn:
            return int(self._rows.execute("SELECT count(*) FROM lines WHERE later").fetchone()[0])

    @property
    def compared(self) -> bool:
        """Whether a run before this one has found all that is to be put off."""
        with self._turn:
            row = self._rows.execute("SELECT 1 FROM about WHERE name = 'compared'").fetchone()
        return self._recalls and row is not None

    def keep_compared(self) -> None:
        """Let later runs recall what was put off."""
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.execute("INSERT OR IGNORE INTO later SELECT id FROM lines WHERE later")
            self._rows.execute("INSERT OR IGNORE INTO about VALUES ('compared', 'yes')")

    def note(self, name: str, value: str) -> None:
        """Remember this over all resumptions, in place of what was noted under the name."""
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        with self._turn:
            row = self._rows.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    # What came of it.

    def state(self, item: Item, mark: bytes) -> State:
        """What is known of this item."""
        with self._turn:
            row = self._rows.execute("SELECT mark, failed FROM results WHERE id = ?", (item.id,)).fetchone()
        if row is None:
            return State.OPEN
        if row[0] != mark:
            return State.ANOTHER
        return State.FAILED if row[1] else State.ANSWERED

    def result(self, item: Item) -> Result | None:
        with self._turn:
            row = self._rows.execute("SELECT failed, facts, body FROM results WHERE id = ?", (item.id,)).fetchone()
        if row is None:
            return None
        facts = orjson.loads(row[1]) | {"body": bytes(row[2])}
        return Failure(**facts) if row[0] else Answer(**facts)

    def write(self, results: Iterable[tuple[Item, bytes, Result]]) -> None:
        """Keep these, all of them durably, in place of what was known of their items. Raises GaveUp where it cannot."""
        rows = [_row(*each) for each in results]
        try:
            with self._turn, self._rows:  # committed as one, or not at all
                self._rows.execute("BEGIN IMMEDIATE")
                self._rows.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise GaveUp(f"the journal {self.path} cannot be written: {error}") from error

    def counts(self) -> tuple[int, int]:
        """Results: answers, and failures."""
        with self._turn:
            row = self._rows.execute("SELECT count(*), coalesce(sum(failed), 0) FROM results").fetchone()
        return int(row[0] - row[1]), int(row[1])

    def failures(self) -> int:
        """Items without an answer, of those that this run has read."""
        with self._turn:
            found = self._rows.execute("SELECT count(*) FROM results JOIN lines USING (id) WHERE failed")
            return int(found.fetchone()[0])


def _row(item: Item, mark: bytes, result: Result) -> tuple[str, bytes, bool, bytes, bytes]:
    facts = asdict(result)
    body = facts.pop("body")
    return item.id, mark, isinstance(result, Failure), orjson.dumps(facts), body


def _compare(path: Path, rows: sqlite3.Connection, about: Mapping[str, str]) -> None:
    known = dict(rows.execute("SELECT name, value FROM about"))
    if not known:
        with rows:
            rows.execute("BEGIN IMMEDIATE")
            rows.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        return
    for name, value in about.items():
        if known.get(name) != value:
            was = known.get(name, "none")
            raise BadInput(
                f"the journal {path} belongs to a run with another {name} ({was}, not {value}): finish that one, "
                "name another journal, or delete it"
            )

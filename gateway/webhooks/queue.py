"""The events that wait, and those that were set aside, in one SQLite file. Blocking; one caller at a time.

What was added is there after any end of the process or the machine: each commit is synced. What a message withholds
from disk is held in memory beside it. What is deleted is overwritten. A file that cannot be read is set aside, never
the reason why a gateway does not start.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from gateway.disk import set_aside
from gateway.webhooks.message import Message

log = logging.getLogger("lookalike")

_VERSION: Final = 1
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS events (
        webhook TEXT, id TEXT, entry TEXT, shown BLOB NOT NULL, bytes INTEGER NOT NULL, time_s REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, due_s REAL NOT NULL, word TEXT, aside_s REAL, PRIMARY KEY (webhook, id)
    );
    CREATE INDEX IF NOT EXISTS due ON events (webhook, due_s) WHERE aside_s IS NULL;
    CREATE INDEX IF NOT EXISTS entry ON events (entry);
    CREATE INDEX IF NOT EXISTS aside ON events (webhook, aside_s) WHERE aside_s IS NOT NULL;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An event that waits for its receiver. Times are Unix times."""

    webhook: str
    id: str
    shown: bytes = field(repr=False)
    bytes: int
    time_s: float
    attempts: int
    due_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """How much is in the queue."""

    events: int = 0
    bytes: int = 0


class Unreadable(Exception):
    """What is in the file is no queue of this version."""


class Queue:
    """`file` None: in memory only."""

    def __init__(self, file: Path | None) -> None:
        self._withheld: dict[tuple[str, str], dict[str, str]] = {}
        place = str(file) if file else ":memory:"
        try:
            # The thread that opens it is not the one that works with it.
            self._rows = sqlite3.connect(place, timeout=10, isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise OSError(str(error)) from error
        try:
            _prepare(self._rows)
        except BaseException:
            self._rows.close()
            raise

    @classmethod
    def open(cls, file: Path | None) -> Self:
        """Never fails: a damaged file is set aside, and where there can be no file, the queue is in memory."""
        try:
            return cls(file)
        except (Unreadable, sqlite3.DatabaseError) as damage:
            assert file is not None
            log.warning("the webhook queue %s cannot be read: %s; it is set aside, and a new one made", file, damage)
        except OSError as error:
            log.warning("the webhook queue %s cannot be kept on disk: %s; it is in memory", file, error)
            return cls(None)
        try:
            set_aside(file)
            return cls(file)
        except (OSError, Unreadable, sqlite3.Error) as error:
            log.warning("the webhook queue %s cannot be replaced: %s; it is in memory", file, error)
            return cls(None)

    def close(self) -> None:
        self._rows.close()

    # What waits.

    def add(self, messages: Iterable[Message]) -> None:
        """Durable when it returns: all of them, or none. Raises sqlite3.Error."""
        added = list(messages)
        rows = [(one.webhook, one.id, one.entry, one.shown, one.bytes, one.time_s, one.time_s) for one in added]
        with self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            self._rows.executemany(
                "INSERT OR IGNORE INTO events (webhook, id, entry, shown, bytes, time_s, due_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        self._withheld |= {(one.webhook, one.id): one.withheld for one in added if one.withheld}

    def next(self, webhook: str, most: int) -> list[Row]:
        """Those that are due first. Raises sqlite3.Error, as all that follow do."""
        found = self._rows.execute(
            "SELECT webhook, id, shown, bytes, time_s, attempts, due_s FROM events"
            " WHERE webhook = ? AND aside_s IS NULL ORDER BY due_s LIMIT ?",
            (webhook, most),
        )
        return [Row(*row) for row in found]

    def withheld(self, row: Row) -> dict[str, str]:
        """What completes it; nothing after a restart."""
        return self._withheld.get((row.webhook, row.id), {})

    def held(self, webhook: str) -> Held:
        query = "SELECT count(*), coalesce(sum(bytes), 0) FROM events WHERE webhook = ? AND aside_s IS NULL"
        return Held(*self._rows.execute(query, (webhook,)).fetchone())

    def webhooks(self) -> set[str]:
        """All names that anything waits for."""
        return {name for (name,) in self._rows.execute("SELECT DISTINCT webhook FROM events WHERE aside_s IS NULL")}

    # What came of it.

    def delivered(self, row: Row) -> bool:
        """Whether it was still here, and not forgotten meanwhile."""
        return bool(self._delete("webhook = ? AND id = ?", (row.webhook, row.id)))

    def again(self, row: Row, due_s: float, word: str) -> None:
        """To be tried again; `word` says why it failed."""
        self._rows.execute(
            "UPDATE events SET attempts = attempts + 1, due_s = ?, word = ? WHERE webhook = ? AND id = ?",
            (due_s, word, row.webhook, row.id),
        )

    def set_aside(self, row: Row, now_s: float, word: str) -> bool:
        """Not to be tried again unless someone says so. Whether it was still here."""
        found = self._rows.execute(
            "UPDATE events SET attempts = attempts + 1, aside_s = ?, word = ? WHERE webhook = ? AND id = ?",
            (now_s, word, row.webhook, row.id),
        )
        return bool(found.rowcount)

    def strand(self, webhook: str, now_s: float) -> int:
        """Set aside all that waits for a webhook that is in the settings no more. How many."""
        word = "no such webhook in the settings"
        found = self._rows.execute(
            "UPDATE events SET aside_s = ?, word = ? WHERE webhook = ? AND aside_s IS NULL", (now_s, word, webhook)
        )
        return found.rowcount

    # What was set aside.

    def aside(self, most: int) -> list[dict[str, Any]]:
        """The last of them, newest first, in words for people. No answer is among these."""
        names = ("webhook", "id", "entry", "time_s", "attempts", "why", "set_aside_s")
        found = self._rows.execute(
            "SELECT webhook, id, entry, time_s, attempts, word, aside_s FROM events WHERE aside_s IS NOT NULL"
            " ORDER BY aside_s DESC LIMIT ?",
            (most,),
        )
        return [dict(zip(names, row, strict=True)) for row in found]

    def count_aside(self, webhook: str) -> int:
        query = "SELECT count(*) FROM events WHERE webhook = ? AND aside_s IS NOT NULL"
        return int(self._rows.execute(query, (webhook,)).fetchone()[0])

    def retry(self, webhook: str, event_id: str | None, now_s: float) -> int:
        """Let those that were set aside wait once more, as if they were new. How many."""
        found = self._rows.execute(
            "UPDATE events SET aside_s = NULL, attempts = 0, due_s = ?, time_s = ?"
            " WHERE webhook = ? AND aside_s IS NOT NULL AND (? IS NULL OR id = ?)",
            (now_s, now_s, webhook, event_id, event_id),
        )
        return found.rowcount

    def trim_aside(self, webhook: str, most: int) -> None:
        """Delete all but the last so many of those that were set aside."""
        self._delete(
            "webhook = ? AND aside_s IS NOT NULL AND id NOT IN"
            " (SELECT id FROM events WHERE webhook = ? AND aside_s IS NOT NULL ORDER BY aside_s DESC LIMIT ?)",
            (webhook, webhook, most),
        )

    def expire(self, before_s: float) -> None:
        """Delete what was set aside before then."""
        self._delete("aside_s < ?", (before_s,))

    def forget(self, entries: Collection[str]) -> int:
        """Delete every event about these entries, from the file's spare pages as well. How many."""
        with self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            gone = sum(self._delete("entry = ?", (entry,)) for entry in entries)
        if gone:
            self._rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return gone

    def _delete(self, where: str, given: tuple[Any, ...]) -> int:
        found = self._rows.execute(f"DELETE FROM events WHERE {where} RETURNING webhook, id", given).fetchall()
        for key in found:
            self._withheld.pop(key, None)
        return len(found)


def _prepare(rows: sqlite3.Connection) -> None:
    (found,) = rows.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Unreadable(found)
    (version,) = rows.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise Unreadable(f"version {version}, and this one reads {_VERSION}")
    rows.execute("PRAGMA journal_mode = WAL")
    rows.execute("PRAGMA synchronous = FULL")
    rows.execute("PRAGMA secure_delete = ON")
    rows.executescript(_SCHEMA)
    rows.execute(f"PRAGMA user_version = {_VERSION}")
    try:
        rows.execute(
            "SELECT webhook, id, entry, shown, bytes, time_s, attempts, due_s, word, aside_s FROM events LIMIT 1"
        )
    except sqlite3.OperationalError as error:
        raise Unreadable(f"it is no queue: {error}") from error

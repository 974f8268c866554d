"""The ledger's file: tallies by span of time, start, division and name, in SQLite. Blocking; one caller at a time.

    minute, hour, day, ever   each delta is added to one row of each
    by, name                  "", "" for the whole

A row's counts are JSON. Old rows go as new ones come, so the file's size is bounded by how many names there can be.
A file that cannot be read is set aside, never the reason why a gateway does not start.
"""

import json  # not orjson: a sum may outgrow 64 bits
import logging
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

from gateway.disk import set_aside
from gateway.tally import Tally

log = logging.getLogger("lookalike")

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
EVER: Final = 0  # the span without an end; its one start is 0

_VERSION = 1
# How long rows are kept: those of the whole, and those by name, of which there are many times more.
_KEPT_S = {
    MINUTE_S: (25 * HOUR_S, 2 * HOUR_S),
    HOUR_S: (31 * DAY_S, 8 * DAY_S),
    DAY_S: (3 * 365 * DAY_S, 32 * DAY_S),
}

Row = tuple[int, int, str, str]  # span, start, division, name


class Key(NamedTuple):
    """What a tally is of."""

    start: int  # of a minute, in Unix time
    by: str
    name: str


class Damaged(Exception):
    """What is in the file is not what was written, or is another version's."""


class Book:
    """`file` None: in memory only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._connection = self._opened()
        self._pruned_s = 0.0

    @classmethod
    def open(cls, file: Path | None) -> Self:
        """Never fails: a damaged file is set aside, and where there can be no file, the book is in memory."""
        try:
            return cls(file)
        except Damaged as damage:
            return cls.instead(file, damage)
        except (OSError, sqlite3.Error) as error:
            log.warning("the ledger %s cannot be kept on disk: %s; it is kept in memory", file, error)
            return cls(None)

    @classmethod
    def instead(cls, file: Path | None, damage: Damaged) -> Self:
        """A new book in place of a damaged one, which is set aside and must be closed."""
        if file is not None:
            log.warning("the ledger %s cannot be read: %s; it is set aside, counting from zero", file, damage)
            try:
                set_aside(file)
                return cls(file)
            except (OSError, sqlite3.Error, Damaged) as error:
                log.warning("the ledger %s cannot be replaced: %s; it is kept in memory", file, error)
        return cls(None)

    def add(self, deltas: Mapping[Key, Tally], now_s: float) -> None:
        """Durable when it returns, except for a power cut. Raises Damaged, or sqlite3.Error if it cannot be written:
        then nothing of it is."""
        changed: defaultdict[Row, Tally] = defaultdict(Counter)
        for (start, by, name), tally in deltas.items():
            for span in (*_KEPT_S, EVER):
                changed[(span, start - start % span if span else 0, by, name)].update(tally)
        with self._reporting_damage(), self._connection:
            for row, tally in changed.items():
                tally.update(self._row(row))
                self._connection.execute("REPLACE INTO tallies VALUES (?, ?, ?, ?, ?)", (*row, json.dumps(tally)))
            self._prune(now_s)
        self._pruned_s = now_s - now_s % MINUTE_S

    def total(self, span: int, since: int, by: str = "") -> dict[str, Tally]:
        """The tally of each name since then; that of the whole is under ""."""
        totals: defaultdict[str, Tally] = defaultdict(Counter)
        with self._reporting_damage():
            for _, name, counts in self._rows(span, since, by):
                totals[name].update(counts)
        return dict(totals)

    def steps(self, span: int, since: int) -> list[tuple[int, Tally]]:
        """The whole, by start of each bucket in which there was anything, oldest first."""
        with self._reporting_damage():
            return [(start, counts) for start, _, counts in self._rows(span, since, "")]

    def names(self, by: str) -> set[str]:
        """All that were ever counted."""
        query = "SELECT name FROM tallies WHERE span = ? AND start = 0 AND by = ?"
        with self._reporting_damage():
            return {name for (name,) in self._connection.execute(query, (EVER, by))}

    def first_s(self) -> int | None:
        """Start of the oldest bucket."""
        with self._reporting_damage():
            found = self._connection.execute("SELECT min(start) FROM tallies WHERE span > 0").fetchone()
        return None if found[0] is None else int(found[0])

    def close(self) -> None:
        self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._file is not None and not self._file.exists():
            self._file.touch(0o600)
        # Several threads use it, one after the other.
        connection = sqlite3.connect(self._file or ":memory:", check_same_thread=False, timeout=5)
        try:
            with self._reporting_damage():
                _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _rows(self, span: int, since: int, by: str) -> Iterator[tuple[int, str, Tally]]:
        query = "SELECT start, name, counts FROM tallies WHERE span = ? AND start >= ? AND by = ? ORDER BY start"
        for start, name, counts in self._connection.execute(query, (span, since, by)):
            yield start, name, _tally(counts)

    def _row(self, row: Row) -> Tally:
        query = "SELECT counts FROM tallies WHERE span = ? AND start = ? AND by = ? AND name = ?"
        found = self._connection.execute(query, row).fetchone()
        return _tally(found[0]) if found else Counter()

    def _prune(self, now_s: float) -> None:
        if self._pruned_s <= now_s < self._pruned_s + MINUTE_S:
            return
        for span, (whole_s, named_s) in _KEPT_S.items():
            self._connection.execute("DELETE FROM tallies WHERE span = ? AND start < ?", (span, now_s - whole_s))
            query = "DELETE FROM tallies WHERE span = ? AND start < ? AND by <> ''"
            self._connection.execute(query, (span, now_s - named_s))

    @contextmanager
    def _reporting_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError:  # a full disk, a lock: not the file's fault
            raise
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error


def _prepare(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Damaged(found)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise Damaged(f"version {version}, and this one reads {_VERSION}")
    # A kill loses nothing that was committed; a power cut may take the last commits, but not the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    with connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tallies (span INTEGER, start INTEGER, by TEXT, name TEXT, counts BLOB,"
            " PRIMARY KEY (span, by, start, name)) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    try:
        connection.execute("SELECT span, start, by, name, counts FROM tallies LIMIT 1")
    except sqlite3.OperationalError as error:
        raise Damaged(f"it is no ledger: {error}") from error


def _tally(counts: bytes) -> Tally:
    try:
        read = json.loads(counts)
    except (ValueError, TypeError) as error:
        raise Damaged(f"counts that are not JSON: {error}") from error
    if not isinstance(read, dict) or not all(type(count) is int for count in read.values()):
        raise Damaged("counts that are no counts")
    return Counter(read)

"""Sightings on disk: one SQLite file of bounded size. Blocking; safe from any thread.

What is deleted is overwritten. A file that cannot be read is thrown away: what people look at never stops a start.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gateway.sighting import GLIMPSE, SIGHTING, Glimpse, Sighting, read
from gateway.sightings.thumbnails import Drawn, Part

log = logging.getLogger("lookalike")

ALBUM_FILE = "sightings.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE recent (number INTEGER PRIMARY KEY, facts BLOB NOT NULL);
CREATE TABLE sighting (id TEXT PRIMARY KEY, facts BLOB NOT NULL);
CREATE TABLE picture (sighting TEXT, number INTEGER, part TEXT, jpeg BLOB NOT NULL,
  PRIMARY KEY (sighting, number, part)) WITHOUT ROWID;
CREATE TABLE served (entry TEXT PRIMARY KEY, hits INTEGER NOT NULL, last_s REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Served:
    """How often a stored answer was served, and when last (Unix time)."""

    hits: int
    last_s: float


@dataclass(frozen=True, slots=True)
class Pages:
    """All that is kept but for the pictures, oldest first."""

    recent: tuple[Glimpse, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    served: Mapping[str, Served] | None = None


class Album:
    """An album in `file`; None: in memory."""

    def __init__(self, file: Path | None) -> None:
        self._lock = Lock()
        self._base = _opened(file)

    def pages(self) -> Pages:
        with self._turn() as base:
            recent = [read(GLIMPSE, facts) for (facts,) in base.execute("SELECT facts FROM recent ORDER BY number")]
            seen = [read(SIGHTING, facts) for (facts,) in base.execute("SELECT facts FROM sighting")]
            served = {entry: Served(hits, last_s) for entry, hits, last_s in base.execute("SELECT * FROM served")}
        sightings = sorted((one for one in seen if one), key=lambda one: one.time_s)
        return Pages(tuple(one for one in recent if one), tuple(sightings), served)

    def write(self, pages: Pages) -> None:
        """Make `pages` all that there is; pictures of sightings that are not among them go. Raises OSError."""
        recent = [(GLIMPSE.dump_json(one),) for one in pages.recent]
        sightings = [(one.id, SIGHTING.dump_json(one)) for one in pages.sightings]
        served = [(entry, one.hits, one.last_s) for entry, one in (pages.served or {}).items()]
        with self._turn() as base:
            base.execute("DELETE FROM recent")
            base.executemany("INSERT INTO recent (facts) VALUES (?)", recent)
            base.execute("DELETE FROM sighting")
            base.executemany("INSERT INTO sighting VALUES (?, ?)", sightings)
            base.execute("DELETE FROM served")
            base.executemany("INSERT INTO served VALUES (?, ?, ?)", served)
            base.execute("DELETE FROM picture WHERE sighting NOT IN (SELECT id FROM sighting)")

    def paste(self, sighting: Sighting, pictures: Iterable[Drawn]) -> None:
        """Keep a sighting with its pictures. Raises OSError."""
        rows = [
            (sighting.id, number, part.value, jpeg)
            for number, drawn in enumerate(pictures)
            for part, jpeg in drawn.items()
        ]
        with self._turn() as base:
            base.execute("INSERT OR REPLACE INTO sighting VALUES (?, ?)", (sighting.id, SIGHTING.dump_json(sighting)))
            base.executemany("INSERT OR REPLACE INTO picture VALUES (?, ?, ?, ?)", rows)

    def parts(self, sighting_id: str) -> list[tuple[int, Part]]:
        """Which pictures there are of a sighting: the picture's number in the request, and which part."""
        with self._turn() as base:
            found = base.execute("SELECT number, part FROM picture WHERE sighting = ?", (sighting_id,)).fetchall()
        return [(number, Part(part)) for number, part in found]

    def picture(self, sighting_id: str, number: int, part: Part) -> bytes | None:
        """A JPEG file; None if there is none."""
        wanted = sighting_id, number, part.value
        with self._turn() as base:
            row = base.execute(
                "SELECT jpeg FROM picture WHERE sighting = ? AND number = ? AND part = ?", wanted
            ).fetchone()
        return row[0] if row else None

    def without_pictures(self) -> None:
        """Let every picture go. Raises OSError."""
        with self._turn() as base:
            base.execute("DELETE FROM picture")

    def close(self) -> None:
        with self._lock:
            self._base.close()

    @contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone with the file."""
        with self._lock:
            try:
                with self._base:
                    yield self._base
            except sqlite3.Error as error:
                raise OSError(f"the sightings cannot be read or written: {error}") from error


def _opened(file: Path | None) -> sqlite3.Connection:
    if file is None:
        return _prepared(":memory:")
    file.touch(mode=0o600)
    try:
        return _prepared(str(file))
    except sqlite3.DatabaseError as error:
        log.warning("%s cannot be read (%s): sightings begin anew", file, error)
        file.unlink()  # not set aside: it may show pictures
        file.touch(mode=0o600)
        return _prepared(str(file))


def _prepared(where: str) -> sqlite3.Connection:
    base = sqlite3.connect(where, check_same_thread=False)
    try:
        base.execute("PRAGMA secure_delete = ON")
        [version] = base.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("written by another version")
        if version == 0:
            base.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        if (damage := base.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(damage)
    except sqlite3.Error:
        base.close()
        raise
    return base

"""Which label an answer got, so that no model is asked twice. One small SQLite file; no text is in it. Blocking.

A key is an HMAC of all that was asked, with the store's secret. A file that cannot be read is thrown away: it can be
had again.
"""

import logging
import sqlite3
from pathlib import Path
from threading import Lock
from typing import Final

log = logging.getLogger("lookalike")

LABELS_FILE: Final = "labels.sqlite"
_VERSION: Final = 1
_MOST: Final = 100_000  # some 10 MB
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS labels (number INTEGER PRIMARY KEY, key BLOB UNIQUE, label TEXT)"


class Table:
    """From any thread, one at a time. `file` None: in memory."""

    def __init__(self, file: Path | None, most: int = _MOST) -> None:
        self._most = most
        self._turn = Lock()
        self._rows = _opened(file)
        (self._count,) = self._rows.execute("SELECT count(*) FROM labels").fetchone()

    def get(self, key: bytes) -> tuple[str | None] | None:
        """The label (None where the model gave none), in a tuple; None where nobody was asked. Raises sqlite3.Error."""
        with self._turn:
            found: tuple[str | None] | None = self._rows.execute(
                "SELECT label FROM labels WHERE key = ?", (key,)
            ).fetchone()
        return found

    def put(self, key: bytes, label: str | None) -> None:
        """Kept until a hundred thousand others have come. Raises sqlite3.Error."""
        with self._turn, self._rows:
            self._rows.execute("BEGIN IMMEDIATE")
            added = self._rows.execute("INSERT OR IGNORE INTO labels (key, label) VALUES (?, ?)", (key, label)).rowcount
            self._count += added
            if self._count > self._most:
                oldest = "SELECT number FROM labels ORDER BY number LIMIT ?"
                gone = self._rows.execute(f"DELETE FROM labels WHERE number IN ({oldest})", (self._count - self._most,))
                self._count -= gone.rowcount

    def close(self) -> None:
        with self._turn:
            self._rows.close()


def _opened(file: Path | None) -> sqlite3.Connection:
    if file is None:
        return _connected(":memory:")
    try:
        return _connected(str(file))
    except sqlite3.OperationalError as error:
        log.warning("the labels in %s cannot be kept on disk: %s; they are in memory", file, error)
        return _connected(":memory:")
    except sqlite3.DatabaseError as error:
        log.warning("the labels in %s cannot be read: %s; models are asked again", file, error)
    try:
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        return _connected(str(file))
    except (OSError, sqlite3.Error):
        return _connected(":memory:")


def _connected(place: str) -> sqlite3.Connection:
    rows = sqlite3.connect(place, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        (found,) = rows.execute("PRAGMA quick_check(1)").fetchone()
        (version,) = rows.execute("PRAGMA user_version").fetchone()
        if found != "ok" or version not in (0, _VERSION):
            raise sqlite3.DatabaseError(found if found != "ok" else f"version {version}")
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = NORMAL")
        rows.execute(_SCHEMA)
        rows.execute(f"PRAGMA user_version = {_VERSION}")
        rows.execute("SELECT number, key, label FROM labels LIMIT 1")
    except BaseException:
        rows.close()
        raise
    return rows

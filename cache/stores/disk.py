"""Rows on disk: the only file that imports diskcache, and the only one that knows its table.

    head/<id>      the entry, its vectors, and how much belongs to it: all that is read when a store opens
    reply/<id>     the answer
    evidence/<id>  what the guard needs of the pictures; absent if there is none
    apart/<digest>  two requests that never answer each other
    corrupt/<random>/<key>  a row set aside

Keys are `str`, values `bytes`, both ways; diskcache would pickle and unpickle everything else
(CVE-2025-69872). All values live in the database, never in diskcache's files, so that one SQLite
transaction is the whole of a change and a kill leaves nothing half done.

Everything in here belongs to one worker thread.
"""

import logging
import os
import secrets
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import diskcache

from cache.entry import Record, pack, unpack
from cache.errors import CorruptRow, StoreFault
from cache.stores.apart import Pair
from cache.stores.base import weigh
from cache.stores.coding import Head, head_row, key_of, parted, unpack_head_row

log = logging.getLogger(__name__)

KINDS = ("head", "reply", "evidence")
CORRUPT = "corrupt"
# Rows set aside are for someone to look at; nobody looks at more, and they are outside of the byte budget.
_CORRUPT_ROWS_MAX = 300
_ANY_SIZE = 2**62
# Wait so long for a foreign process (an operator's sqlite3 shell): our own lock keeps all others out.
BUSY_S = 5.0
_MODE_RAW = 1  # diskcache's word for "the value is in the database, as it is"
_SETTINGS = {
    "eviction_policy": "none",  # the store decides what goes, so that rows and vectors go together
    "cull_limit": 0,
    "size_limit": _ANY_SIZE,
    "statistics": 0,
    "tag_index": 0,
    "sqlite_journal_mode": "wal",
    # A commit is in the kernel's hands when it returns: a killed process loses nothing. A power cut may take the
    # last commits whole, never a part of one.
    "sqlite_synchronous": 1,
    # diskcache's default moves pages at every delete; freed pages are used again anyway, and `_shrink` does the rest.
    "sqlite_auto_vacuum": 2,
}


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache ships no types
    """Refuses what is not text as a key or bytes as a value, instead of pickling or unpickling it."""

    def put(self, key: object) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"keys are str, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if type(key) is not str or not raw:
            raise CorruptRow("a key that is not text")
        return key

    def store(self, value: object, read: bool, key: object = None) -> tuple[int, int, None, memoryview]:
        if type(value) is not bytes or read:
            raise TypeError(f"values are bytes, not {type(value).__name__}")
        return 0, _MODE_RAW, None, memoryview(value)

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> bytes:
        if mode != _MODE_RAW or filename is not None or type(value) is not bytes or read:
            raise CorruptRow("a value that is not plain bytes")
        return value

    def filename(self, key: object = None, value: object = None) -> NoReturn:
        raise TypeError("values are never kept in files")


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction does."""

    put: Record | None = None
    weight: int = 0  # of `put`
    drop: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()  # entries whose rows are kept apart
    used: Mapping[str, int] | None = None  # entry id -> number of its last use

    def __bool__(self) -> bool:
        return bool(self.put or self.drop or self.aside or self.used)


@contextmanager
def faults(doing: str) -> Iterator[None]:
    """Foreign exceptions in, ours out."""
    try:
        yield
    except (sqlite3.Error, diskcache.Timeout, OSError) as error:
        raise StoreFault(f"{doing}: {type(error).__name__}: {error}") from error


class Rows:
    """The database of one directory."""

    def __init__(self, directory: Path) -> None:
        with faults("opening the database"):
            self._cache: Any = diskcache.Cache(str(directory), disk=BytesDisk, timeout=BUSY_S, **_SETTINGS)
            self._path = directory / diskcache.core.DBNAME
            self._inode = os.stat(self._path).st_ino
            self._shrink()

    def listing(self) -> list[tuple[int, str | None]]:
        """Row number and key of every row; None for a key that is none of ours. Reads the key index only."""
        with faults("reading the keys"):
            rows = self._cache._sql("SELECT rowid, CAST(key AS BLOB), typeof(key), raw FROM Cache").fetchall()
        return [(number, _text(key) if kind == "text" and raw == 1 else None) for number, key, kind, raw in rows]

    def heads(self) -> Iterator[tuple[int, str, int, Head | None]]:
        """(row number, entry id, last use, head) in the order put; None for a head that is corrupt."""
        # A row's value is taken only if it is bytes already: SQLite would gladly convert, and fail, otherwise.
        # By row number, so that a cold disk is read in one direction.
        select = (
            "SELECT rowid, CAST(key AS BLOB), access_time, mode, filename,"
            " CASE typeof(value) WHEN 'blob' THEN value END FROM Cache WHERE rowid IN"
            " (SELECT rowid FROM Cache WHERE key >= 'head/' AND key < 'head0' AND raw = 1) ORDER BY rowid"
        )
        with faults("reading the heads"):
            for number, key, used, mode, filename, value in self._cache._sql(select):
                entry_id = (_text(key) or "").removeprefix("head/")
                try:
                    head = unpack_head_row(self._cache.disk.fetch(mode, filename, value, False), entry_id)
                except CorruptRow:
                    head = None
                yield number, entry_id, int(used or 0), head

    def head(self, entry_id: str) -> Head | None:
        data = self._read(f"head/{entry_id}")
        return None if data is None else unpack_head_row(data, entry_id)

    def reply(self, entry_id: str) -> bytes | None:
        data = self._read(f"reply/{entry_id}")
        return None if data is None else unpack(data)[1]

    def evidence(self, entry_id: str) -> tuple[bytes, ...] | None:
        data = self._read(f"evidence/{entry_id}")
        return None if data is None else parted(data)

    def write(self, change: Change) -> None:
        """All of it or nothing of it."""
        if not change:
            return
        with faults("writing"):
            self._present()
            with self._transaction() as sql:
                for entry_id in change.drop:
                    sql("DELETE FROM Cache WHERE raw = 1 AND key IN (?, ?, ?)", _keys_of(entry_id))
                for entry_id in change.aside:
                    for key in _keys_of(entry_id):
                        sql("UPDATE Cache SET key = ? WHERE raw = 1 AND key = ?", (_corrupt(key), key))
                if change.put:
                    self._insert(change.put, change.weight)
                for entry_id, use in (change.used or {}).items():
                    # diskcache keeps a wall clock's time in this column; ours counts, so that order is all it says.
                    sql("UPDATE Cache SET access_time = ? WHERE raw = 1 AND key = ?", (use, f"head/{entry_id}"))

    def pairs(self) -> Iterator[tuple[int, str | None, Pair | None]]:
        """(row number, key, pair) of every pair that never answers each other; None for one that is corrupt."""
        select = (
            "SELECT rowid, CAST(key AS BLOB), CASE typeof(value) WHEN 'blob' THEN value END FROM Cache"
            " WHERE key >= 'apart/' AND key < 'apart0' AND raw = 1"
        )
        with faults("reading the pairs"):
            for number, key, value in self._cache._sql(select).fetchall():
                try:
                    yield number, _text(key), Pair.from_head(unpack(value or b"")[0])
                except CorruptRow:
                    yield number, _text(key), None

    def part(self, pair: Pair) -> None:
        with faults("writing"):
            self._present()
            self._cache.set(key_of(pair), pack(pair.to_head()))

    def scrub(self) -> None:
        """Drop the rows set aside, and leave no trace in the files of anything that is gone. For a thread of its own,
        beside which the other may read, not write. Takes as long as writing all answers anew: SQLite leaves copies of
        small rows behind within its pages when it balances them, so that no overwriting at the deletion will do."""
        with faults("erasing"):
            try:
                with self._transaction() as sql:
                    sql("DELETE FROM Cache WHERE raw = 1 AND key >= 'corrupt/' AND key < 'corrupt0'")
                self._rewrite()
            finally:
                self._cache.close()  # this thread's connection

    def _rewrite(self) -> None:
        """The database without its unused pages, and an empty log."""
        self._cache._sql("VACUUM")
        ((busy, _, _),) = self._cache._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise StoreFault(f"cannot erase what was in {self._path}: another program has it open")

    def clean(self, drop: Iterable[str], aside: Iterable[tuple[int, str | None]]) -> None:
        """What an opening store found: entries to drop, and single rows to keep apart by their number."""
        with faults("cleaning up"), self._transaction() as sql:
            for entry_id in drop:
                sql("DELETE FROM Cache WHERE raw = 1 AND key IN (?, ?, ?)", _keys_of(entry_id))
            for number, key in aside:
                sql("UPDATE Cache SET key = ?, raw = 1 WHERE rowid = ?", (_corrupt(key or "?"), number))
            sql(
                "DELETE FROM Cache WHERE rowid IN (SELECT rowid FROM Cache WHERE raw = 1"
                " AND key >= 'corrupt/' AND key < 'corrupt0' ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (_CORRUPT_ROWS_MAX,),
            )

    def erase_looks(self) -> None:
        """Take vectors and evidence out of every row, and leave no trace of them in the file: rows that are set aside
        or damaged may hold either and go altogether. Takes as long as writing all answers anew."""
        with faults("erasing vectors and evidence"):
            self._cache._sql("PRAGMA secure_delete = ON")
            with self._transaction() as sql:
                keys = "raw = 1 AND substr(key, 1, instr(key, '/')) IN ('head/', 'reply/', 'apart/')"
                sql(f"DELETE FROM Cache WHERE NOT COALESCE({keys}, 0)")
                shown = [one for one in self.heads() if one[3] is None or one[3].entry.space or one[3].evidence]
                for number, entry_id, _, head in shown:
                    row = self._bared(entry_id, head)
                    if row is None:
                        sql("DELETE FROM Cache WHERE rowid = ?", (number,))
                    else:
                        sql("UPDATE Cache SET value = ? WHERE rowid = ?", (row, number))
            self._rewrite()  # pages that were freed earlier still hold what was on them
        if shown:
            log.warning("strict privacy: the vectors and evidence of %d stored answers are erased", len(shown))

    def _bared(self, entry_id: str, head: Head | None) -> bytes | None:
        """The head row without its vectors, counting for what is left; None if the entry is not whole."""
        try:
            reply = self.reply(entry_id)
        except CorruptRow:
            return None
        if head is None or reply is None:
            return None
        record = Record(head.entry, reply, None, ()).without_looks()
        return head_row(record, weigh(record, _ANY_SIZE))

    def complaints(self) -> list[str]:
        """What SQLite's and diskcache's own checks say."""
        with faults("checking the database"), warnings.catch_warnings():
            warnings.simplefilter("always")  # else a caller's filter turns diskcache's report into an exception
            return [str(warning.message) for warning in self._cache.check()]

    def close(self) -> None:
        with faults("closing the database"):
            self._cache.close()

    def _read(self, key: str) -> bytes | None:
        with faults(f"reading {key}"):
            data: bytes | None = self._cache.get(key)
            return data

    def _insert(self, record: Record, weight: int) -> None:
        entry_id = record.entry.id
        self._cache.set(f"head/{entry_id}", head_row(record, weight))
        self._cache.set(f"reply/{entry_id}", pack({}, record.reply))
        if record.evidence:
            lengths = {"lengths": list(map(len, record.evidence))}
            self._cache.set(f"evidence/{entry_id}", pack(lengths, b"".join(record.evidence)))

    def _present(self) -> None:
        """SQLite goes on writing to a file that was deleted under it, and all of that would be lost."""
        if os.stat(self._path).st_ino != self._inode:
            raise FileNotFoundError(f"{self._path} was replaced while in use")

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        try:
            with self._cache.transact():
                yield self._cache._sql
        except BaseException:
            # A COMMIT that fails (disk full) leaves the transaction open, and diskcache leaves it at that.
            if self._cache._con.in_transaction:
                self._cache._con.rollback()
            raise

    def _shrink(self) -> None:
        """Give pages back once a quarter of the file is unused: after a smaller budget, or much that expired."""
        ((free,),) = self._cache._sql("PRAGMA freelist_count").fetchall()
        ((pages,),) = self._cache._sql("PRAGMA page_count").fetchall()
        if free > pages // 4:
            # As a script: `execute` takes a statement without columns for done after the first of its pages.
            self._cache._con.executescript("PRAGMA incremental_vacuum")


def _keys_of(entry_id: str) -> tuple[str, ...]:
    return tuple(f"{kind}/{entry_id}" for kind in KINDS)


def _corrupt(key: str) -> str:
    return f"{CORRUPT}/{secrets.token_hex(8)}/{key}"


def _text(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None

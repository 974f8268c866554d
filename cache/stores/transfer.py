"""What leaves a store that no gateway runs on, and how another begins with its secret. Blocking.

Reading goes by the rows alone: no index is built and nothing is evicted, whatever budget the store is used with.
"""

from pathlib import Path
from typing import Self

from cache.entry import Record
from cache.errors import CorruptRow, StoreFault
from cache.stores.apart import Pair
from cache.stores.coding import APART
from cache.stores.directory import Directory, is_store, shows_nothing
from cache.stores.disk import Rows


class Outgoing:
    """A store's rows, owned from `open` to `close`."""

    def __init__(self, directory: Directory, rows: Rows) -> None:
        self._directory = directory
        self._rows = rows
        self.secret = directory.secret
        self.without_looks = shows_nothing(directory.path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises StoreBusy where a process owns it, and StoreFault where there is no store."""
        if not is_store(path):
            raise StoreFault(f"{path} is no store")
        directory = Directory.claim(path)
        try:
            return cls(directory, Rows(directory.rows))
        except BaseException:
            directory.release()
            raise

    def pairs(self) -> list[Pair]:
        return [pair for _, _, pair in self._rows.pairs() if pair is not None]

    def living(self, now_s: float) -> tuple[list[str], int]:
        """Ids of the entries that are not over, the least recently used first; and how many heads are damaged."""
        used: dict[str, int] = {}
        damaged = 0
        for _, entry_id, use, head in self._rows.heads():
            if head is None:
                damaged += 1
            elif head.entry.fresh(now_s):
                used[entry_id] = use
        return sorted(used, key=used.__getitem__), damaged

    def record(self, entry_id: str) -> Record | None:
        """The whole entry; None where a row of it is missing or damaged."""
        try:
            head, reply = self._rows.head(entry_id), self._rows.reply(entry_id)
            evidence = (self._rows.evidence(entry_id) or ()) if head is not None and head.evidence else ()
        except CorruptRow:
            return None
        if head is None or reply is None or len(evidence) != head.evidence:
            return None
        return Record(head.entry, reply, head.vectors, evidence)

    def close(self) -> None:
        try:
            self._rows.close()
        finally:
            self._directory.release()


def adopt(path: Path, secret: bytes) -> None:
    """Make this a store with this secret: a new one, one that holds nothing, or one that has it already. Raises
    StoreBusy, and StoreFault where answers rest on another secret."""
    directory = Directory.claim(path)
    try:
        if directory.secret != secret:
            rows = Rows(directory.rows)
            try:
                holds = any((key or "").startswith(("head/", f"{APART}/")) for _, key in rows.listing())
            finally:
                rows.close()
            if holds:
                raise StoreFault(
                    f"{path} holds answers of its own under another secret; what is found there rests on the secret "
                    "and cannot be made anew, so the two do not mix: give a directory that is new or empty"
                )
            directory.begin_with(secret)
    finally:
        directory.release()

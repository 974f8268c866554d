"""The bytes of files, and the journals of batches at work, in a directory that only its owner can read. Blocking.

files/{id}          whole files: written beside their place, synced, and moved into it
files/{…}.part      one that is still being written; a start takes away what a kill left of them
runs/{batch id}     the journal of a batch (gateway/bulk/journal.py)
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

_PART: Final = ".part"


class Shelf:
    """Files by id. Raises OSError, from every method."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "files"
        self._runs = directory / "runs"
        for each in (directory, self._files, self._runs):
            each.mkdir(mode=0o700, exist_ok=True)
        self._turn = threading.Lock()
        self._bytes = 0

    @property
    def used(self) -> int:
        """Bytes of all files, those that are being written too."""
        return self._bytes

    def tidy(self, files: Collection[str], batches: Collection[str]) -> None:
        """Take away whatever belongs to none of these: what a kill left."""
        for path in self._files.iterdir():
            if path.name not in files:
                path.unlink(missing_ok=True)
            else:
                self._bytes += path.stat().st_size
        for path in self._runs.iterdir():
            if path.name.removesuffix("-wal").removesuffix("-shm") not in batches:
                path.unlink(missing_ok=True)

    def path(self, file: str) -> Path:
        return self._files / file

    def journal(self, batch: str) -> Path:
        """Where its journal is; readable by the owner only, as SQLite's files beside it will be."""
        path = self._runs / batch
        if not path.exists():
            path.touch(0o600)
        return path

    def write(self) -> "Writing":
        return Writing(self, self._files / f"{secrets.token_hex(8)}{_PART}")

    def drop(self, file: str) -> None:
        try:
            size = self.path(file).stat().st_size
            self.path(file).unlink()
        except FileNotFoundError:
            return
        self.count(-size)

    def count(self, size: int) -> None:
        with self._turn:
            self._bytes += size

    def sync(self) -> None:
        descriptor = os.open(self._files, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Writing:
    """A file in the making: it is there once it is kept, and nothing is there if it is not."""

    def __init__(self, shelf: Shelf, part: Path) -> None:
        self._shelf = shelf
        self._part = part
        self._stream = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self.bytes += len(data)
        self._shelf.count(len(data))

    def keep(self, file: str) -> None:
        """As this file, in place of one that may be there."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        replaced = self._shelf.path(file).stat().st_size if self._shelf.path(file).exists() else 0
        self._part.replace(self._shelf.path(file))
        self._shelf.count(-replaced)
        self._shelf.sync()

    def discard(self) -> None:
        """Unless it was kept."""
        with contextlib.suppress(OSError):  # what was buffered may have no room either
            self._stream.close()
        if self._part.exists():
            self._part.unlink()
            self._shelf.count(-self.bytes)

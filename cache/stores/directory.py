"""The directory of a durable store: whose it is, which format it has, and its secret.

lock      held by the owning process; the kernel lets go of it when that process dies, however it dies
format    written last when a directory is made: without it, nothing in here is believed to be ours
secret    32 random bytes, readable by the owner only
rows/     the database (disk.py)
no-looks  there if no byte in here can show a picture: written once all such bytes are erased
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from cache.errors import StoreBusy, StoreFault
from cache.files import sync, write_whole

FORMAT = b"lookalike-store 3\n"
SECRET_BYTES = 32
_LOCK, _FORMAT, _SECRET, _ROWS, _NO_LOOKS = "lock", "format", "secret", "rows", "no-looks"
_OURS_BEFORE_FORMAT = {_LOCK, _SECRET, f"{_SECRET}.new", f"{_FORMAT}.new"}


class Directory:
    """A directory owned by this process from `claim` to `release`."""

    def __init__(self, path: Path, lock: FileLock, secret: bytes) -> None:
        self.path = path
        self.rows = path / _ROWS
        self.secret = secret
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Own the directory, making it if need be. Raises StoreBusy, or StoreFault if it is not to be used."""
        # Not thread-local: a store is closed by whichever thread runs the event loop then.
        lock = FileLock(path / _LOCK, timeout=0, thread_local=False)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)  # it will hold people's answers
            lock.acquire()
        except Timeout as error:
            raise StoreBusy(
                f"{path} is in use by another process; every process needs a store directory of its own"
            ) from error
        except (OSError, NotImplementedError) as error:
            raise StoreFault(f"cannot use {path} as a store: {error}") from error
        try:
            secret = _enter(path)
            (path / _ROWS).mkdir(mode=0o700, exist_ok=True)
            return cls(path, lock, secret)
        except OSError as error:
            lock.release()
            raise StoreFault(f"cannot use {path} as a store: {error}") from error
        except BaseException:
            lock.release()
            raise

    def keep_looks(self, keeps: bool, erase: Callable[[], None]) -> None:
        """Whether vectors and evidence may be written from now on. If not, what may be here of them is erased
        first; an erasure that a kill cuts short is done again at the next opening."""
        marker = self.path / _NO_LOOKS
        try:
            if keeps and shows_nothing(self.path):
                marker.unlink()
                sync(self.path)
            elif not keeps and not shows_nothing(self.path):
                erase()
                write_whole(marker, b"")
        except OSError as error:
            raise StoreFault(f"cannot use {self.path} as a store: {error}") from error

    def begin_with(self, secret: bytes) -> None:
        """Another secret in place of the one that this store was made with: for a store that holds nothing yet."""
        try:
            write_whole(self.path / _SECRET, secret)
        except OSError as error:
            raise StoreFault(f"cannot use {self.path} as a store: {error}") from error
        self.secret = secret

    def release(self) -> None:
        self._lock.release()


def is_store(path: Path) -> bool:
    """Whether there is a store in here, of whichever version."""
    return (path / _FORMAT).exists()


def shows_nothing(path: Path) -> bool:
    """Whether the store in there was opened without looks last, so that no byte of it can show a picture."""
    return (path / _NO_LOOKS).exists()


def secret_of(path: Path) -> bytes:
    """The secret of the store in there, whoever has it open. Raises StoreFault if there is no store."""
    try:
        known = (path / _FORMAT).read_bytes() == FORMAT
        secret = (path / _SECRET).read_bytes()
    except FileNotFoundError as error:
        raise StoreFault(f"there is no store in {path}: start the gateway once, and it makes one") from error
    except OSError as error:
        raise StoreFault(f"cannot read the store in {path}: {error}") from error
    if not known or len(secret) != SECRET_BYTES:
        raise StoreFault(f"the store in {path} is damaged or another version's")
    return secret


def _enter(path: Path) -> bytes:
    """The secret of the store in here; a new store is made where there is nothing yet."""
    if not (path / _FORMAT).exists():
        strangers = sorted(set(os.listdir(path)) - _OURS_BEFORE_FORMAT)
        if strangers:
            raise StoreFault(
                f"{path} is not a store and not empty (it holds {strangers[0]!r}): choose another directory"
            )
        write_whole(path / _SECRET, secrets.token_bytes(SECRET_BYTES))
        write_whole(path / _FORMAT, FORMAT)
    found = (path / _FORMAT).read_bytes()
    if found != FORMAT:
        raise StoreFault(
            f"{path} has the format {found[:40]!r}, this version reads {FORMAT!r}: "
            "use the version that wrote it, or move the directory away to start afresh"
        )
    # A new secret would orphan every entry without a word, since all tenants' digests would change.
    secret = (path / _SECRET).read_bytes() if (path / _SECRET).exists() else b""
    if len(secret) != SECRET_BYTES:
        raise StoreFault(f"{path / _SECRET} is damaged or missing: move the directory away to start afresh")
    return secret

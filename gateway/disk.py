"""The disk of the store: its room, and databases on it that cannot be read."""

import shutil
from pathlib import Path


def free_bytes(directory: Path) -> int:
    """0 where the directory was taken away. One system call: it does not touch the disk."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return 0


def set_aside(database: Path) -> None:
    """Move an SQLite file out of the way; the one that was set aside before it is replaced. Raises OSError."""
    database.replace(database.with_name(f"{database.name}.damaged"))
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)

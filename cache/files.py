"""Small files beside a store: written whole or not at all, also through a power cut, and for their owner only."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """On disk when it returns; a reader sees the file before or after. One writer at a time. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # what a killed writer left may belong to anybody
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Names that were given or taken in it are on disk when this returns."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

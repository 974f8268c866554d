"""The shadow log on disk: one JSON line per request, written by a thread of its own and never in the way.

When the file has grown to its limit, it becomes `shadow.1.jsonl`, and the one of that name before it goes. What
cannot be written is counted as lost, and said once in the gateway's log.
"""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from gateway.shadow import Observation, from_line, to_line

log = logging.getLogger("lookalike")

SHADOW_FILE = "shadow.jsonl"
_BEFORE = "shadow.1.jsonl"
# Lines of about 1 kB that may wait for a slow disk.
_WAITING_MOST = 10_000


class ShadowLog:
    """Appends to `file`; None: nothing is kept. Opened when the first line comes."""

    def __init__(self, file: Path | None, bytes_max: int) -> None:
        self._file = file
        self._bytes_max = bytes_max
        self._thread = ThreadPoolExecutor(1, "shadow-log")
        self._open: FileIO | None = None
        self._given = 0  # lines handed to the thread, which counts the two that follow
        self._written = 0
        self._failed = 0
        self._dropped = 0  # lines that the thread could not keep up with

    def append(self, observation: Observation) -> None:
        """Returns at once. Called from one thread, the event loop's."""
        if self._file is None:
            return
        if self._given - self._written - self._failed >= _WAITING_MOST:
            self._dropped += 1
            return
        self._given += 1
        self._thread.submit(self._write, self._file, to_line(observation))

    def report(self) -> dict[str, Any]:
        """What became of the lines since the start."""
        file = str(self._file) if self._file else None
        return {"file": file, "written": self._written, "lost": self._failed + self._dropped}

    def close(self) -> None:
        """Write what still waits. Blocking, but for milliseconds."""
        self._thread.shutdown()
        self._let_go()

    def _write(self, file: Path, line: bytes) -> None:
        try:
            # Unbuffered: a kill of the process loses nothing, though a power cut may take the last lines.
            if self._opened(file, len(line)).write(line) != len(line):
                raise OSError("the disk is full")
        except OSError as error:
            if not self._failed:
                log.warning("the shadow log %s cannot be written: %s; requests are served all the same", file, error)
            self._failed += 1
            self._let_go()
        else:
            self._written += 1

    def _opened(self, file: Path, more: int) -> FileIO:
        if self._open is None:
            self._open = _append_to(file)
        size = self._open.seek(0, os.SEEK_END)
        if size and size + more > self._bytes_max:
            self._let_go()
            file.replace(file.with_name(_BEFORE))
            self._open = _append_to(file)
        return self._open

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _append_to(file: Path) -> FileIO:
    """The file, open at its end. A line that was cut short is ended, so that it spoils no other."""
    opened = FileIO(file, "ab+", opener=_for_the_owner)
    try:
        if opened.seek(0, os.SEEK_END):
            opened.seek(-1, os.SEEK_END)
            if opened.read(1) != b"\n":
                opened.write(b"\n")
    except OSError:
        opened.close()
        raise
    return opened


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(slots=True)
class Skipped:
    """Lines that are none of this version's."""

    lines: int = 0


def read_log(file: Path, skipped: Skipped) -> Iterator[Observation]:
    """Every observation, oldest first, of this file and of the one it was rotated to. Raises OSError if `file`
    cannot be read."""
    before = file.with_name(_BEFORE)
    for each in (*([before] if file.name == SHADOW_FILE and before.exists() else []), file):
        with each.open("rb") as lines:
            for line in lines:
                try:
                    yield from_line(line)
                except ValueError:
                    skipped.lines += 1

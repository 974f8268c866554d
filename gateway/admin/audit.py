"""The audit log: who deleted or judged what, one JSON line each, on disk before it is done. No prompt and no token."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import orjson
from starlette.requests import Request

from cache.stores.base import Clock
from gateway.admin.access import address_of
from gateway.admin.replies import Problem

log = logging.getLogger("lookalike")

AUDIT_FILE = "audit.jsonl"


class Audit:
    """Appends to `file`; None: only the gateway's own log has it."""

    def __init__(self, file: Path | None, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    async def note(self, request: Request, action: str, **facts: Any) -> None:
        """Returns once the line is on disk. Raises Problem if it cannot be written, and then nothing may be done."""
        when = datetime.fromtimestamp(self._clock(), UTC).isoformat()
        line = {"time": when, "who": request.state.who.name, "from": address_of(request), "action": action, **facts}
        log.info("%s by %s: %s", action, line["who"], facts)
        if self._file is None:
            return
        try:
            await anyio.to_thread.run_sync(_append, self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            words = f"nothing was done, for the audit log {self._file} cannot be written: {error}"
            raise Problem(503, "no_audit", words) from error


def _append(file: Path, line: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("the disk is full")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""An upload from the client to the disk, chunk by chunk as it comes; nothing is left of one that fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.batches.form import BadForm, Form
from gateway.batches.shelf import Shelf, Writing
from gateway.batchlimits import BatchLimits

_FORM_BYTES: Final = 64 * 1024  # what a form has beside its file


class Refusal(Exception):
    """A request that is not done, in OpenAI's shape of errors. `code` is for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def reply(self) -> Response:
        kind = "invalid_request_error" if self.status < 500 else "api_error"
        error = {"message": f"lookalike: {self}", "type": kind, "param": self.param, "code": self.code}
        # Clients of OpenAI's heed this: the same upload again would meet the same full disk.
        fields = {"x-should-retry": "false"} if self.status == 507 else None
        return JSONResponse({"error": error}, self.status, fields)


@dataclass(frozen=True, slots=True)
class Upload:
    """`writing` is on disk, and goes away again unless it is kept."""

    fields: dict[str, str]
    name: str
    writing: Writing


@asynccontextmanager
async def receive(request: Request, shelf: Shelf, limits: BatchLimits) -> AsyncIterator[Upload]:
    """The whole upload. Raises Refusal, OSError, and ClientDisconnect where the client leaves."""
    announced = request.headers.get("content-length", "")
    _refuse_larger(int(announced) - _FORM_BYTES if announced.isascii() and announced.isdigit() else 0, shelf, limits)
    try:
        form = Form(request.headers.get("content-type", ""))
    except BadForm as error:
        raise Refusal(400, "invalid_form", str(error)) from error
    writing = await anyio.to_thread.run_sync(shelf.write)
    try:
        async for chunk in request.stream():
            data = form.feed(chunk)
            if data:
                _refuse_larger(writing.bytes + len(data), shelf, limits, writing.bytes)
                await anyio.to_thread.run_sync(writing.write, data)
        form.end()
        yield Upload(form.fields, form.name or "", writing)
    except BadForm as error:
        raise Refusal(400, "invalid_form", str(error)) from error
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(writing.discard)


def _refuse_larger(size: int, shelf: Shelf, limits: BatchLimits, written: int = 0) -> None:
    """`written` of it counts as used already."""
    if size > limits.file_bytes_max:
        raise Refusal(413, "file_too_large", f"a file may have {limits.file_bytes_max} bytes: split it", "file")
    if shelf.used + size - written > limits.disk_bytes_max:
        raise Refusal(
            507, "no_room", f"files take {shelf.used} of {limits.disk_bytes_max} bytes: delete some, or wait", "file"
        )

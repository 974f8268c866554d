"""Reads the recorded HTTP messages in this folder: `<dialect>/requests`, `/replies` and `/clients`.

A reply's name is `<server>__<case>`; the request it answers is `requests/<case>.txt`, or was left out for its size.
In `/documented` are replies of servers that could not be recorded, written after their documents and source.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_STREAMS = (b"text/event-stream", b"application/x-ndjson")


@dataclass(frozen=True, slots=True)
class Message:
    """One recorded message. `complete`: it ended as HTTP says that it should."""

    name: str
    start: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool

    @property
    def path(self) -> str:
        return self.start.split()[1]

    @property
    def status(self) -> int:
        return int(self.start.split()[1])

    @property
    def server(self) -> str:
        return self.name.partition("__")[0]

    @property
    def case(self) -> str:
        return self.name.partition("__")[2]

    @property
    def streamed(self) -> bool:
        return dict(self.headers).get(b"content-type", b"").startswith(_STREAMS)


@cache
def messages(dialect: str, kind: str) -> tuple[Message, ...]:
    files = sorted((FOLDER / dialect / kind).glob("*.txt"))
    assert files, f"no recorded {kind} of {dialect}"
    return tuple(_message(file.stem, file.read_bytes()) for file in files)


@cache
def replies(dialect: str) -> tuple[Message, ...]:
    """Every reply of a dialect, recorded or documented."""
    kinds = [kind for kind in ("replies", "documented") if (FOLDER / dialect / kind).is_dir()]
    return tuple(found for kind in kinds for found in messages(dialect, kind))


@cache
def reply_of(dialect: str, name: str) -> Message:
    return next(found for found in replies(dialect) if found.name == name)


@cache
def message(dialect: str, kind: str, name: str) -> Message:
    return next(message for message in messages(dialect, kind) if message.name == name)


def _message(name: str, raw: bytes) -> Message:
    line_end = b"\r\n" if b"\r\n" in raw else b"\n"  # the SDKs' requests were written down line by line
    head, _, body = raw.partition(line_end * 2)
    start, *lines = head.split(line_end)
    pairs = [line.partition(b":") for line in lines]
    headers = tuple((key.strip().lower(), value.strip()) for key, _, value in pairs)
    fields = dict(headers)
    complete = True
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        body, complete = _dechunked(body)
    elif line_end == b"\r\n" and b"content-length" in fields:
        complete = len(body) == int(fields[b"content-length"])
    return Message(name, start.decode(), headers, body, complete)


def _dechunked(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body, True
        body, data = body + data[:length], data[length + 2 :]
    return body, False

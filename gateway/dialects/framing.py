"""Bytes to frames and back. Sans-IO: any chunking of the same bytes gives the same frames.

Newline-delimited JSON is one object a line. Server-sent events are as
https://html.spec.whatwg.org/multipage/server-sent-events.html defines them: lines end in CRLF, LF or CR; one space
after the colon is dropped; comments are ignored; an event counts only once its blank line has come.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Protocol

_END_MOST = 4  # bytes of the longest end of a frame


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream. `event` is its name where the format has names. `number`, its place in the stream from
    1 on, is for writing only: what is read has none."""

    data: str
    event: str | None = None
    number: int | None = None


class Framing(Protocol):
    """A decoder of one stream."""

    frame_end: ClassVar[re.Pattern[bytes]]  # what ends a frame's bytes

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes. Raises ValueError if they are not UTF-8."""
        ...

    def rest(self) -> bytes:
        """What came after the last complete frame: not empty means that the stream was cut."""
        ...

    @staticmethod
    def with_data(raw: bytes, data: bytes) -> bytes:
        """The bytes of a frame with other data in it, everything else as it was."""
        ...


class Editor(Protocol):
    """Changes a stream on its way to the client, whole events at a time."""

    def feed(self, data: bytes) -> bytes: ...

    def rest(self) -> bytes:
        """What was held back for an event that never ended: it goes on as it is."""
        ...


class Frames:
    """Takes a stream apart into the bytes of its frames, each with its end."""

    def __init__(self, framing: Framing) -> None:
        self._end = framing.frame_end
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        looked_at = max(0, len(self._held) - _END_MOST)
        self._held += data
        begin, frames = 0, []
        for end in self._end.finditer(self._held, looked_at):
            frames.append(bytes(self._held[begin : end.end()]))
            begin = end.end()
        del self._held[:begin]
        return frames

    def rest(self) -> bytes:
        return bytes(self._held)


class ServerSentEvents:
    """A decoder of text/event-stream."""

    # A CR is the end of a line if no LF follows; one at the very end of what has come may be half of a CRLF.
    frame_end: ClassVar[re.Pattern[bytes]] = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))")

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[str] = []
        self._event: str | None = None
        self._first = True

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        for line in self._lines():
            if frame := self._line(line):
                frames.append(frame)
        return frames

    def rest(self) -> bytes:
        pending = "\n".join(self._data).encode()
        return pending + self._buffer.strip(b"\r\n")

    def _lines(self) -> list[str]:
        # A CR at the very end may be half of a CRLF: it waits for the next bytes.
        held = b"\r" if self._buffer.endswith(b"\r") else b""
        text = self._buffer[: len(self._buffer) - len(held)]
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._buffer = lines.pop() + held
        return [line.decode() for line in lines]

    def _line(self, line: str) -> Frame | None:
        if self._first:
            line, self._first = line.removeprefix("\ufeff"), False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        return None

    def _dispatch(self) -> Frame | None:
        data, event = self._data, self._event
        self._data, self._event = [], None
        return Frame("\n".join(data), event) if data else None

    @staticmethod
    def with_data(raw: bytes, data: bytes) -> bytes:
        lines = raw.splitlines(keepends=True)
        first = next(n for n, line in enumerate(lines) if line.startswith(b"data:"))
        end = lines[first][len(lines[first].rstrip(b"\r\n")) :]
        kept = [line for line in lines[first:] if not line.startswith(b"data:")]
        return b"".join([*lines[:first], b"data: ", data, end, *kept])


class Lines:
    """A decoder of application/x-ndjson. A line counts only once its end has come; empty lines are ignored."""

    frame_end: ClassVar[re.Pattern[bytes]] = re.compile(rb"\n")

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [Frame(line.decode()) for line in map(bytes.strip, lines) if line]

    def rest(self) -> bytes:
        return self._buffer.strip()

    @staticmethod
    def with_data(raw: bytes, data: bytes) -> bytes:
        return data + raw[len(raw.rstrip(b"\r\n")) :]


def encode_line(frame: Frame) -> bytes:
    return f"{frame.data}\n".encode()


def encode_sse(frame: Frame) -> bytes:
    """An event. `data` is one line, as JSON is."""
    name = f"event: {frame.event}\n" if frame.event else ""
    return f"{name}data: {frame.data}\n\n".encode()

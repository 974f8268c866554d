"""A client's connection, and what it may take before it is a request: bytes and fields of a head, and time.

uvicorn and its parser bound none of these: a head may grow for ever, and arrive for ever, as may a body. Here a request
that is too large in its head is refused (431), one that dribbles is given up (408), and beyond a number of
connections there are no more (503). The fields after a chunked body are dropped: they would join those of the head.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What a body must come with on average, once its time is up; a modem of 1990 is faster.
_BYTES_PER_S_MIN = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """`receive_s` is the time for a head, and the time that a body has beyond what its bytes may take."""

    receive_s: float = 60.0
    head_bytes: int = 65_536
    head_fields: int = 256
    connections: int = 4096


def door(limits: Limits) -> type[asyncio.Protocol]:
    """What uvicorn makes a connection with."""
    return cast(type[asyncio.Protocol], partial(_Door, limits))


class _Door(HttpToolsProtocol):
    def __init__(self, limits: Limits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._arriving = True  # a request is expected, or has come in part
        self._begun_s = 0.0
        self._in_head = True
        self._is_asking = self._has_just_begun = False
        self._head_bytes = self._body_bytes = self._fields = 0
        self._refusal: bytes | None = None

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > self._limits.connections:
            self._refuse(b"503 Service Unavailable", b"retry-after: 1\r\n")
        else:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._arriving:
            self._begin()
        self._is_asking, self._has_just_begun = True, False
        super().data_received(data)
        if not (self._arriving and self._in_head) or self.transport.is_closing():
            return
        if not self._has_just_begun:  # what came with its beginning may be of the one before
            self._head_bytes += len(data)
        if self._head_bytes > self._limits.head_bytes:
            self._refuse(b"431 Request Header Fields Too Large")

    def send_400_response(self, msg: str) -> None:
        if self._refusal is not None:
            self._refuse(self._refusal)
        else:
            super().send_400_response(msg)

    # The parser's words

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()
        self._is_asking = self._has_just_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > self._limits.head_fields:
            self._refusal = b"431 Request Header Fields Too Large"
            raise ValueError("too many fields")  # ends the parser's work; see send_400_response
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.head_bytes:
            self._refusal = b"431 Request Header Fields Too Large"
            raise ValueError("too large a head")
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving, self._in_head = False, True
        super().on_message_complete()

    # Time

    def _begin(self) -> None:
        self._arriving, self._in_head, self._is_asking = True, True, False
        self._head_bytes = self._body_bytes = self._fields = 0
        self._begun_s = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self._limits.receive_s, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if not self._arriving or self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is us, or the upstream, who take no more
            self._begun_s = self.loop.time()
        allowed_s = self._limits.receive_s + self._body_bytes / _BYTES_PER_S_MIN
        left_s = self._begun_s + allowed_s - self.loop.time()
        if left_s > 0:
            self._timer = self.loop.call_later(left_s, self._look_at_the_clock)
        elif self._is_asking:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: bytes, fields: bytes = b"") -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\n" + fields + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()

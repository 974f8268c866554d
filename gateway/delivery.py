"""The client's end of a reply: passed on as it comes, changed as it comes, or held until it is whole.

What is held is bounded: a reply beyond the bound goes on as it came. So does one that breaks off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Send

from gateway.dialects.framing import Editor
from gateway.headers import Raw


class Held(Protocol):
    """What becomes of a reply once it is whole."""

    @property
    def bytes_max(self) -> int: ...

    def revised(self, fields: Raw, body: bytes) -> tuple[Raw, bytes]: ...

    def too_large(self) -> None:
        """Called where it outgrows the bound."""
        ...


@dataclass(frozen=True, slots=True)
class Alterations:
    """What is done to one reply on its way: its header fields as they go out, and its body first by the editors, then,
    once it is whole, by `held`."""

    fields: Raw
    editors: Sequence[Editor] = ()
    held: Held | None = None


# What is done to a reply with this status and these fields.
Alter = Callable[[int, Raw], Alterations]


def untouched(status: int, fields: Raw) -> Alterations:
    return Alterations(fields)


class Delivery:
    """`seconds`: how long the client took to take it."""

    def __init__(self, send: Send, monotonic: Callable[[], float], alter: Alter) -> None:
        self._send = send
        self._monotonic = monotonic
        self._alter = alter
        self._editors: Sequence[Editor] = ()
        self._held: Held | None = None
        self._head: tuple[int, Raw] = (0, ())
        self._body: list[bytes] = []
        self._bytes = 0
        self.seconds = 0.0

    async def begin(self, status: int, fields: Raw) -> None:
        altered = self._alter(status, fields)
        self._editors, self._held = altered.editors, altered.held
        self._head = status, altered.fields
        if self._held is None:
            await self._begin(altered.fields)

    async def take(self, chunk: bytes) -> None:
        begun = self._monotonic()
        for editor in self._editors:
            chunk = editor.feed(chunk)
        if self._held is None:
            await self._pass_on(chunk)
        else:
            await self._hold(chunk, self._held)
        self.seconds += self._monotonic() - begun

    async def end(self) -> None:
        """All of it has come."""
        last = b""
        for editor in self._editors:
            last = editor.feed(last) + editor.rest()
        if self._held is not None:
            fields, last = self._held.revised(self._head[1], b"".join([*self._body, last]))
            await self._begin(fields)
        await self._send({"type": "http.response.body", "body": last})

    async def break_off(self) -> None:
        """No more of it will come. The reply stays without an end: the server then breaks the connection."""
        if self._held is not None:
            await self._release()

    async def _hold(self, chunk: bytes, held: Held) -> None:
        self._body.append(chunk)
        self._bytes += len(chunk)
        if self._bytes > held.bytes_max:
            held.too_large()
            await self._release()

    async def _release(self) -> None:
        self._held = None
        await self._begin(self._head[1])
        await self._pass_on(b"".join(self._body))
        self._body.clear()

    async def _begin(self, fields: Raw) -> None:
        await self._send({"type": "http.response.start", "status": self._head[0], "headers": list(fields)})

    async def _pass_on(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

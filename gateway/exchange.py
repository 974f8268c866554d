"""One request as ASGI gives it, and its body, in one piece within a limit or as it comes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
from starlette.types import Message, Receive, Scope, Send

from gateway import headers
from gateway.admission import Hold
from gateway.endpoint import Body

T = TypeVar("T")

# A client that closes on an answer's own end mark may be gone before HTTP's: such an answer is whole.
_PARTING_S = 0.05


class ClientGone(Exception):
    """The client left before its request had arrived whole."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as ASGI gives it. Paths and query stay percent-encoded."""

    scope: Scope
    receive: Receive
    send: Send
    hold: Hold

    @property
    def path(self) -> str:
        return raw_path(self.scope)

    @property
    def query(self) -> str:
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def fields(self) -> headers.Raw:
        return self.scope["headers"]  # type: ignore[no-any-return]  # ASGI's own shape

    def field(self, name: bytes) -> str | None:
        return next((value.decode("latin-1") for key, value in self.fields if key == name), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            message: Message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return


def raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    return str(raw.decode("latin-1"))


def announced(body: Body, uploaded: anyio.Event) -> Body:
    """The body; `uploaded` is set when all of it has been taken from the client."""
    if body is None or isinstance(body, bytes):
        uploaded.set()
        return body

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in body:
            yield chunk
        uploaded.set()

    return chunks()


def streamed(exchange: Exchange) -> Body:
    """The body as it comes; None where HTTP says that there is none."""
    framed = exchange.field(b"transfer-encoding") or exchange.field(b"content-length") or "0"
    return None if framed == "0" else exchange.chunks()


async def read(exchange: Exchange, bytes_max: int) -> bytes | AsyncIterator[bytes]:
    """The whole body; or, if it is larger than the limit, all of it as a stream. Raises Overloaded, before the first
    byte is taken where the request says how many there are."""
    chunks = exchange.chunks()
    announced = exchange.field(b"content-length") or ""
    if announced.isdecimal() and int(announced) > bytes_max:
        return chunks
    exchange.hold.reserve(int(announced) if announced.isdecimal() else 0)
    taken: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        exchange.hold.reserve(min(size, bytes_max))
        taken.append(chunk)
        if size > bytes_max:
            return _chained(taken, chunks)
    return b"".join(taken)


async def _chained(taken: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in taken:
        yield chunk
    async for chunk in rest:
        yield chunk


async def while_connected(
    exchange: Exchange, uploaded: anyio.Event, work: Callable[[], Awaitable[T]], left: Callable[[], Awaitable[None]]
) -> T | Exception:
    """What `work` comes to. It is cancelled when the client has left, as soon as `left` is through."""
    outcome: T | Exception = ClientGone()

    async def watch(scope: anyio.CancelScope) -> None:
        await uploaded.wait()  # until then the request's body is what `receive` gives
        while (await exchange.receive())["type"] != "http.disconnect":
            pass
        await anyio.sleep(_PARTING_S)
        await left()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            outcome = await work()
        except Exception as error:  # as a value: a task group would wrap it
            outcome = error
        tasks.cancel_scope.cancel()
    return outcome

"""What the fake servers share of ASGI: one request read, one reply sent."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

Send = Any
Fields = list[tuple[bytes, bytes]]


@dataclass
class Seen:
    """A request as it reached a fake server."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


async def read(scope: Any, receive: Any) -> Seen:
    body = b"".join([chunk async for chunk in _chunks(receive)])
    fields = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
    return Seen(scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), fields, body)


def start(status: int, fields: Fields) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": fields}


async def send_json(send: Send, value: Any, status: int = 200) -> None:
    body = json.dumps(value).encode()
    await send(start(status, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]))
    await send({"type": "http.response.body", "body": body})


async def send_frames(send: Send, media_type: str, frames: list[bytes], cut_after: int | None = None) -> None:
    """A stream, frame by frame. After `cut_after` of them it is left unended: uvicorn then breaks the connection."""
    await send(start(200, [(b"content-type", media_type.encode())]))
    for frame in frames[:cut_after]:
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    if cut_after is None:
        await send({"type": "http.response.body", "body": b""})


async def lifespan(receive: Any, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _chunks(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return

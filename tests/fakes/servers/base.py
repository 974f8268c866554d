"""A server of vision-language models that answers what it reads off the pictures, in the bytes of a recorded reply.

A format is a subclass: it says how the recording looks with other words in it. Every reply has an id and a time of
its own, as from a genuine server, so a replay can be told from an answer. Tests turn `fails_with` and `cut_after`.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from gateway.demo import cards
from tests.fakes.asgi import Seen, Send, lifespan, read, send_frames, send_json

Object = dict[str, Any]
MADE_S = 1_795_000_000  # Unix time of the first reply; each later one is made a second later
_SHORTEST_PICTURE = 100  # characters of base64: no prompt of the tests has as many without a blank


class Server:
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.fails_with: int | None = None  # an HTTP status
        self.cut_after: int | None = None  # frames of a stream

    @property
    def calls(self) -> int:
        return len(self.seen)

    # What a format adds

    def wants_stream(self, seen: Seen, asked: Object) -> bool:
        return bool(asked.get("stream"))

    def whole(self, said: str, number: int, asked: Object) -> Object:
        """The reply in one piece. `number` is the request's, for an id that no other reply has."""
        raise NotImplementedError

    def frames(self, said: str, number: int, asked: Object) -> list[bytes]:
        """The reply as the bytes of a stream, one frame each."""
        raise NotImplementedError

    def error(self, status: int, number: int) -> Object:
        raise NotImplementedError

    # What all have in common

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen = await read(scope, receive)
        self.seen.append(seen)
        asked, number = json.loads(seen.body), len(self.seen)
        if self.fails_with is not None:
            return await send_json(send, self.error(self.fails_with, number), self.fails_with)
        said = "prices: " + ", ".join(cards.read(picture) for picture in pictures_in(asked))
        if self.wants_stream(seen, asked):
            return await send_frames(send, self.stream_type, self.frames(said, number, asked), self.cut_after)
        return await send_json(send, self.whole(said, number, asked))


def pictures_in(value: Any) -> Iterator[Image.Image]:
    """Every picture in a JSON value, in order: a data URL or plain base64, whatever the format calls its place."""
    match value:
        case dict():
            for inner in value.values():
                yield from pictures_in(inner)
        case list():
            for inner in value:
                yield from pictures_in(inner)
        case str() if len(value) > _SHORTEST_PICTURE:
            try:
                file = base64.b64decode(value.rpartition(",")[2], validate=True)
            except binascii.Error:
                return
            yield Image.open(BytesIO(file))


def words(said: str) -> list[str]:
    """A text as a model gives it out, piece by piece."""
    first, *rest = said.split(" ")
    return [first, *(f" {word}" for word in rest)]


def sse(value: Object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"

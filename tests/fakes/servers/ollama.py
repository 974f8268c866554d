"""Ollama's own `/api/chat` and `/api/generate`, as the server and SGLang write them."""

from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from gateway.dialects.framing import Lines
from tests.fakes.asgi import Seen
from tests.fakes.servers.base import MADE_S, Object, Server, words
from tests.wire.recorded import reply_of


class OllamaServer(Server):
    """`folder`: of the recordings, "ollama_chat" or "ollama_generate"."""

    stream_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, folder: str, speaks: str = "ollama") -> None:
        super().__init__()
        self._whole: Object = orjson.loads(reply_of(folder, f"{speaks}__whole").body)
        frames = Lines().feed(reply_of(folder, f"{speaks}__stream").body)
        self._piece, *_, self._last = [orjson.loads(frame.data) for frame in frames]

    def wants_stream(self, seen: Seen, asked: Object) -> bool:
        return asked.get("stream", True) is not False

    def whole(self, said: str, number: int, asked: Object) -> Object:
        return _told(self._whole, said) | _head(number)

    def frames(self, said: str, number: int, asked: Object) -> list[bytes]:
        lines = [*(_told(self._piece, word) for word in words(said)), self._last]
        return [orjson.dumps(line | _head(number)) + b"\n" for line in lines]

    def error(self, status: int, number: int) -> Object:
        return {"error": "model 'qwen3-vl-8b' not found"}


def _told(value: Object, said: str) -> Object:
    message: Any = value.get("message")
    return value | ({"response": said} if message is None else {"message": message | {"content": said}})


def _head(number: int) -> Object:
    return {"created_at": f"{datetime.fromtimestamp(MADE_S + number, UTC):%Y-%m-%dT%H:%M:%S.123456789Z}"}

"""OpenAI chat completions, as each server that was recorded speaks them."""

from typing import Any

import orjson

from gateway.dialects.framing import ServerSentEvents
from tests.fakes.servers.base import MADE_S, Object, Server, sse, words
from tests.wire.recorded import message

_DONE = b"data: [DONE]\n\n"


class ChatServer(Server):
    """`speaks`: the server whose recordings are taken, such as "vllm"."""

    def __init__(self, speaks: str) -> None:
        super().__init__()
        self._whole: Object = orjson.loads(_reply(f"{speaks}__15-image1-to-stop"))
        frames = ServerSentEvents().feed(_reply(f"{speaks}__23-stream-to-stop-usage"))
        self._chunks: list[Object] = [orjson.loads(frame.data) for frame in frames if frame.data != "[DONE]"]
        self._error: Object = orjson.loads(message("openai_chat", "replies", "vllm__57-err-unknown-model").body)

    def whole(self, said: str, number: int, asked: Object) -> Object:
        choice = self._whole["choices"][0]
        told = choice | {"message": choice["message"] | {"content": said}}
        return self._whole | _head(number) | {"choices": [told]}

    def frames(self, said: str, number: int, asked: Object) -> list[bytes]:
        texts = [bool(_delta(chunk).get("content")) for chunk in self._chunks]
        first, last = texts.index(True), len(texts) - texts[::-1].index(True)
        told = [_with_text(self._chunks[first], word) for word in words(said)]
        chunks = [*self._chunks[:first], *told, *self._chunks[last:]]
        if not (asked.get("stream_options") or {}).get("include_usage"):
            chunks = [chunk for chunk in chunks if chunk["choices"]]
        return [*(sse(chunk | _head(number)) for chunk in chunks), _DONE]

    def error(self, status: int, number: int) -> Object:
        return {"error": self._error["error"] | {"code": status}}


def _reply(name: str) -> bytes:
    return message("openai_chat", "replies", name).body


def _head(number: int) -> Object:
    return {"id": f"chatcmpl-fake{number:012x}", "created": MADE_S + number}


def _delta(chunk: Object) -> dict[str, Any]:
    return chunk["choices"][0]["delta"] if chunk["choices"] else {}


def _with_text(chunk: Object, text: str) -> Object:
    choice = chunk["choices"][0]
    return chunk | {"choices": [choice | {"delta": choice["delta"] | {"content": text}}]}

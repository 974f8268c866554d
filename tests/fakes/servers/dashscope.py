"""DashScope's own multimodal generation, and the form that only shares its envelope."""

from itertools import accumulate
from typing import ClassVar
from uuid import UUID

import orjson

from tests.fakes.asgi import Seen
from tests.fakes.servers.base import Object, Server, words
from tests.wire.recorded import reply_of


class DashScopeServer(Server):
    stream_type: ClassVar[str] = "text/event-stream;charset=UTF-8"

    def __init__(self) -> None:
        super().__init__()
        self._whole: Object = orjson.loads(reply_of("dashscope", "dashscope__whole").body)
        self._error: Object = orjson.loads(reply_of("dashscope", "dashscope__error-400").body)

    def wants_stream(self, seen: Seen, asked: Object) -> bool:
        return seen.header("x-dashscope-sse") == "enable"

    def whole(self, said: str, number: int, asked: Object) -> Object:
        return self._event([{"text": said}], "stop", number)

    def frames(self, said: str, number: int, asked: Object) -> list[bytes]:
        if asked["parameters"].get("incremental_output"):
            events = [self._event([{"text": word}], "null", number) for word in words(said)]
            events.append(self._event([], "stop", number))
        else:
            events = [self._event([{"text": text}], "null", number) for text in accumulate(words(said))]
            events.append(self._event([{"text": said}], "stop", number))
        return [_frame(place, event) for place, event in enumerate(events, start=1)]

    def error(self, status: int, number: int) -> Object:
        return self._error | {"request_id": _request_id(number)}

    def _event(self, content: list[Object], reason: str, number: int) -> Object:
        choice = {"message": {"content": content, "role": "assistant"}, "finish_reason": reason}
        return self._whole | {"output": {"choices": [choice]}, "request_id": _request_id(number)}


class InferenceServer(Server):
    def whole(self, said: str, number: int, asked: Object) -> Object:
        return {"output": {"text": said}, "request_id": _request_id(number)}

    def error(self, status: int, number: int) -> Object:
        return {"code": "ModelNotFound", "message": "no such service", "request_id": _request_id(number)}


def _frame(place: int, event: Object) -> bytes:
    return b"id:%d\nevent:result\n:HTTP_STATUS/200\ndata:%b\n\n" % (place, orjson.dumps(event))


def _request_id(number: int) -> str:
    return str(UUID(int=number))

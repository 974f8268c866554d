"""Formats whose streams are named events: OpenAI Responses and Anthropic Messages, as the recordings in tests/wire."""

import json
from typing import Any

import orjson

from gateway.dialects.framing import ServerSentEvents
from tests.fakes.servers.base import MADE_S, Object, Server, words
from tests.wire.recorded import reply_of

_IDS = ("id", "item_id")
_TIMES = ("created_at", "completed_at")


class _EventServer(Server):
    folder = ""
    recorded_whole, recorded_stream, recorded_error = "", "", ""
    recorded_text = "A red square."  # what both recordings say
    delta = ""  # the type of event that brings a piece of it

    def __init__(self) -> None:
        super().__init__()
        self._whole: Object = orjson.loads(self._reply(self.recorded_whole))
        frames = ServerSentEvents().feed(self._reply(self.recorded_stream))
        self._events: list[Object] = [orjson.loads(frame.data) for frame in frames]
        self._error: Object = orjson.loads(self._reply(self.recorded_error))

    def whole(self, said: str, number: int, asked: Object) -> Object:
        told: Object = _told(self._whole, {self.recorded_text: said}, number)
        return told

    def frames(self, said: str, number: int, asked: Object) -> list[bytes]:
        pieces = [self.is_piece(event) for event in self._events]
        first, last = pieces.index(True), len(pieces) - pieces[::-1].index(True)
        told = [self.with_text(self._events[first], word) for word in words(said)]
        events = [*self._events[:first], *told, *self._events[last:]]
        return [
            _event(_told(event, {self.recorded_text: said}, number) | self.numbered(place))
            for place, event in enumerate(events)
        ]

    def error(self, status: int, number: int) -> Object:
        return self._error

    def is_piece(self, event: Object) -> bool:
        raise NotImplementedError

    def with_text(self, event: Object, text: str) -> Object:
        raise NotImplementedError

    def numbered(self, place: int) -> Object:
        return {}

    def _reply(self, name: str) -> bytes:
        return reply_of(self.folder, name).body


class ResponsesServer(_EventServer):
    folder = "openai_responses"
    recorded_whole, recorded_stream = "openai__12-reasoning", "openai__22-stream-reasoning"
    recorded_error = "openai__60-err-bad-request"

    def is_piece(self, event: Object) -> bool:
        return bool(event["type"] == "response.output_text.delta")

    def with_text(self, event: Object, text: str) -> Object:
        return event | {"delta": text}

    def numbered(self, place: int) -> Object:
        return {"sequence_number": place}


class MessagesServer(_EventServer):
    folder = "anthropic_messages"
    recorded_whole, recorded_stream = "anthropic__32-thinking", "anthropic__32-stream-thinking"
    recorded_error = "anthropic__60-err-overloaded"

    def is_piece(self, event: Object) -> bool:
        return bool(event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta")

    def with_text(self, event: Object, text: str) -> Object:
        return event | {"delta": event["delta"] | {"text": text}}


def _told(value: Any, texts: dict[str, str], number: int) -> Any:
    """A copy with other texts, and with ids and times that no other reply has."""
    match value:
        case dict():
            told = {name: _told(inner, texts, number) for name, inner in value.items()}
            new = {name: f"{told[name]}{number:04x}" for name in _IDS if isinstance(told.get(name), str)}
            return told | new | {name: MADE_S + number for name in _TIMES if isinstance(told.get(name), int)}
        case list():
            return [_told(inner, texts, number) for inner in value]
        case str():
            return texts.get(value, value)
        case _:
            return value


def _event(value: Object) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()

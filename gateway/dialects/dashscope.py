"""DashScope's own multimodal generation (Alibaba Model Studio). Pure.

The question stands in `input`, its settings in `parameters`; a header asks for a stream. A stream repeats the whole
text in each event or only adds to it (`incremental_output`, whose default depends on the model), so an answer in one
piece and a stream never stand in for each other: the kind of reply is part of the key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count as count_up
from typing import ClassVar

import orjson

from gateway.dialects import dashscope_stream
from gateway.dialects.base import Retell
from gateway.dialects.dashscope_stream import choices_of, said
from gateway.dialects.dashscope_texts import DashScopeTexts
from gateway.dialects.fields import count, new_uuid, refuse_search, with_new, without_nulls
from gateway.dialects.framing import Editor, Frame, Framing, ServerSentEvents
from gateway.dialects.parts import fields_of, prompt_of
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, PictureRef, Question, Reply, Unstored, Usage

_RAN_TOOLS = ("search_info", "tool_info")
# What may stand beside a text or a picture. Anything else may name content that is not in the request.
_BESIDE = frozenset(("type", "min_pixels", "max_pixels", "total_pixels", "enable_rotate", "detail"))
_DONE_REASONS = {
    "stop": None,
    "length": Unstored.TRUNCATED,
    "tool_calls": Unstored.TOOL_CALLS,
    "content_filter": Unstored.REFUSED,
}


class DashScope:
    name: ClassVar[str] = "dashscope"
    stream_type: ClassVar[str] = "text/event-stream;charset=UTF-8"
    texts: ClassVar[Texts] = DashScopeTexts()

    def claims(self, path: str) -> bool:
        return path.endswith("/services/aigc/multimodal-generation/generation")

    def parse(self, call: Call) -> Question:
        body = without_nulls(read_object(call.body))
        given, parameters = _object(body.get("input")), _object(body.get("parameters", {}))
        stream = _streams(call, body, parameters)
        _refuse_server_tools(call, body, parameters)
        pictures: list[PictureRef] = []
        messages = _messages(given.get("messages"), pictures)
        if not pictures:
            raise NotCacheable(Bypass.NO_PICTURE)
        model, choices = body.get("model", ""), parameters.get("n", 1)
        if not isinstance(model, str) or not isinstance(choices, int) or isinstance(choices, bool) or choices < 1:
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        placed = {"input": given | {"messages": messages}, "parameters": parameters, "stream": stream}
        return Question(
            model,
            as_text(body | placed),
            tuple(pictures),
            stream,
            include_usage=False,  # counts come with every event, asked for or not
            choices=choices,
            prompt=prompt_of(messages),
        )

    def framing(self) -> Framing:
        return ServerSentEvents()

    def encode(self, frame: Frame) -> bytes:
        return f"id:{frame.number}\nevent:{frame.event}\n:HTTP_STATUS/200\ndata:{frame.data}\n\n".encode()

    def whole(self, body: bytes) -> Reply | Unstored:
        value = dashscope_stream.read(body)
        if isinstance(value, Unstored):
            return value
        return Reply(value) if choices_of(value) else Unstored.MALFORMED

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return dashscope_stream.assemble(frames, choices)

    def unstorable(self, reply: Reply) -> Unstored | None:
        if any(reply.body["output"].get(name) for name in _RAN_TOOLS):
            return Unstored.SERVER_TOOLS_RAN
        return next(filter(None, map(_unstorable_choice, choices_of(reply.body))), None)

    def usage(self, reply: Reply) -> Usage:
        usage = reply.body.get("usage")
        if not isinstance(usage, dict):
            return Usage(None, None)
        return Usage(count(usage.get("input_tokens")), count(usage.get("output_tokens")))

    def text(self, reply: Reply) -> str:
        return "\n\n".join(said(choice) for choice in choices_of(reply.body))

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        old = reply.body.get("request_id")
        new: Object = {"request_id": new_uuid(old, fresh)} if isinstance(old, str) else {}
        chunks = tuple(with_new(chunk, new) for chunk in reply.chunks)
        return replace(reply, body=with_new(reply.body, new), chunks=chunks)

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        numbers = count_up(1)

        def told(frame: Frame) -> Frame:
            chunk = dashscope_stream.read(frame.data, frame.event)
            if chunk is Unstored.MALFORMED:
                raise ValueError("an event that is no reply")
            if isinstance(chunk, Unstored):
                return Frame(frame.data, frame.event or "error", next(numbers))
            old = chunk.get("request_id")
            new: Object = {"request_id": new_uuid(old, fresh)} if isinstance(old, str) else {}
            return Frame(orjson.dumps(with_new(chunk, new)).decode(), "result", next(numbers))

        return told

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        for number, chunk in enumerate(reply.chunks or (reply.body,), start=1):
            yield Frame(orjson.dumps(chunk).decode(), "result", number)

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        return None

    def error(self, status: int, code: str, message: str) -> bytes:
        return orjson.dumps({"code": code, "message": message, "request_id": ""})


def _object(value: object) -> Object:
    if not isinstance(value, dict):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return without_nulls(value)


def _streams(call: Call, body: Object, parameters: Object) -> bool:
    """The header decides. Where anything else contradicts it, the kind of reply is anyone's guess."""
    stream = call.headers.get("x-dashscope-sse", "").strip().lower() == "enable"
    accepted = "text/event-stream" in call.headers.get("accept", "").lower()
    said_otherwise = any(fields.get("stream", stream) is not stream for fields in (body, parameters))
    if said_otherwise or (accepted and not stream):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return stream


def _refuse_server_tools(call: Call, body: Object, parameters: Object) -> None:
    refuse_search(body)
    refuse_search(parameters)
    plugged = "plugins" in body or "plugins" in parameters or "x-dashscope-plugin" in call.headers
    tools = parameters.get("tools", [])
    run_here = isinstance(tools, list) and all(
        isinstance(tool, dict) and tool.get("type", "function") == "function" for tool in tools
    )
    if plugged or not run_here:
        raise NotCacheable(Bypass.SERVER_TOOLS)
    if parameters.get("audio") or parameters.get("modalities") not in (None, ["text"]):
        raise NotCacheable(Bypass.UNKNOWN_PART)


def _messages(messages: object, pictures: list[PictureRef]) -> list[Object]:
    if not isinstance(messages, list):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return [_message(_object(message), pictures) for message in messages]


def _message(message: Object, pictures: list[PictureRef]) -> Object:
    content = message.get("content", "")
    if isinstance(content, list):
        return message | {"content": [_part(part, pictures) for part in content]}
    if not isinstance(content, str):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return message


def _part(part: object, pictures: list[PictureRef]) -> Object:
    """`{"text": …}` or `{"image": …}`, with hints about the picture's size beside it."""
    kept = fields_of(part)
    match sorted(kept.keys() - _BESIDE):
        case ["text"] if isinstance(kept["text"], str):
            return kept
        case ["image"] if isinstance(kept["image"], str | memoryview):
            pictures.append(PictureRef(kept["image"]))
            return kept | {"image": {"picture": len(pictures) - 1}}
        case _:
            raise NotCacheable(Bypass.UNKNOWN_PART)


def _unstorable_choice(choice: Object) -> Unstored | None:
    if dashscope_stream.message_of(choice).get("tool_calls"):
        return Unstored.TOOL_CALLS
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or reason not in _DONE_REASONS:  # the string "null" while it still runs
        return Unstored.UNFINISHED
    return _DONE_REASONS[reason] or (None if said(choice) else Unstored.EMPTY)

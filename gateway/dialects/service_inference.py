"""`POST …/services/{name}/inference`: OpenAI's messages in DashScope's envelope, a bare text in reply. Pure.

No public document describes it, so it is read narrowly: streams are unknown and only pass, and a reply is an answer
only if nothing in it says otherwise.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson

from gateway.dialects.base import Retell
from gateway.dialects.fields import count, new_uuid, refuse_search, with_new, without_nulls
from gateway.dialects.framing import Editor, Frame, Framing, ServerSentEvents, encode_sse
from gateway.dialects.parts import prompt_of, take_pictures
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Found, Piece, PlainTexts, Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, Question, Reply, Unstored, Usage

_PATH = re.compile(r".*/services/[^/]+/inference")
_TOOLS = ("plugins", "tools")  # whoever may run them
_NO_ERROR = (None, "", 0)
_DONE_REASONS = {
    None: None,  # this server may not say why it ended
    "stop": None,
    "length": Unstored.TRUNCATED,
    "max_tokens": Unstored.TRUNCATED,
    "tool_calls": Unstored.TOOL_CALLS,
    "content_filter": Unstored.REFUSED,
}

_LIMITS = ("max_new_tokens", "max_tokens", "max_completion_tokens", "max_output_tokens", "max_length")


class _Texts(PlainTexts):
    def whole(self, body: Object) -> Found:
        output = body.get("output")
        said = isinstance(output, dict) and isinstance(output.get("text"), str)
        return Found([Piece(0, body["output"], "text")] if said else [])

    def of(self, chunk: Object) -> Found:
        return Found()

    def ends(self, chunk: Object) -> list[int]:
        return []

    def longer(self, tail: Sequence[Object], last: Piece, text: str) -> list[Object]:
        raise ValueError("nobody has seen this server stream")


class ServiceInference:
    name: ClassVar[str] = "service-inference"
    stream_type: ClassVar[str] = "text/event-stream"
    texts: ClassVar[Texts] = _Texts()

    def claims(self, path: str) -> bool:
        return _PATH.fullmatch(path) is not None

    def parse(self, call: Call) -> Question:
        body = without_nulls(read_object(call.body))
        given, parameters = body.get("input"), body.get("parameters", {})
        model = body.get("model", "")
        if not (isinstance(given, dict) and isinstance(parameters, dict) and isinstance(model, str)):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        _refuse_streams(call, body, parameters)
        for fields in (body, parameters, given):
            refuse_search(fields)
            if any(fields.get(name) for name in _TOOLS):
                raise NotCacheable(Bypass.SERVER_TOOLS)
        messages, pictures = take_pictures(given.get("messages"))
        if not pictures:
            raise NotCacheable(Bypass.NO_PICTURE)
        placed = {"input": without_nulls(given) | {"messages": messages}, "parameters": without_nulls(parameters)}
        return Question(
            model,
            as_text(body | placed),
            pictures,
            stream=False,
            include_usage=False,
            choices=1,
            prompt=prompt_of(messages),
            tokens_max=_tokens_max(parameters, body),  # the reply need not say that it was met
        )

    def framing(self) -> Framing:
        return ServerSentEvents()

    def encode(self, frame: Frame) -> bytes:
        return encode_sse(frame)

    def whole(self, body: bytes) -> Reply | Unstored:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Unstored.MALFORMED
        if not isinstance(value, dict):
            return Unstored.MALFORMED
        failed = any(value.get(name) not in _NO_ERROR for name in ("code", "error", "error_code"))
        if failed or value.get("success") is False:
            return Unstored.ERROR_IN_REPLY
        output = value.get("output")
        said = isinstance(output, dict) and isinstance(output.get("text"), str)
        return Reply(value) if said else Unstored.MALFORMED

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return Unstored.MALFORMED  # nobody has seen this server stream

    def unstorable(self, reply: Reply) -> Unstored | None:
        output: Object = reply.body["output"]
        reason = output.get("finish_reason", reply.body.get("finish_reason"))
        if not isinstance(reason, str | None) or reason not in _DONE_REASONS:
            return Unstored.UNFINISHED
        return _DONE_REASONS[reason] or (None if output["text"] else Unstored.EMPTY)

    def usage(self, reply: Reply) -> Usage:
        usage = reply.body.get("usage")
        if not isinstance(usage, dict):
            return Usage(None, None)
        return Usage(
            count(usage.get("input_tokens", usage.get("prompt_tokens"))),
            count(usage.get("output_tokens", usage.get("completion_tokens"))),
        )

    def text(self, reply: Reply) -> str:
        text: str = reply.body["output"]["text"]
        return text

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        new: Object = {
            name: new_uuid(old, fresh) for name in ("request_id", "id") if isinstance(old := reply.body.get(name), str)
        }
        if isinstance(reply.body.get("created"), int):
            new["created"] = fresh.now_s
        return replace(reply, body=with_new(reply.body, new))

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        return ()  # no question of this dialect asks for one

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        return lambda frame: None  # no question of this dialect asks for a stream

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        return None

    def error(self, status: int, code: str, message: str) -> bytes:
        return orjson.dumps({"code": code, "message": message})


def _refuse_streams(call: Call, body: Object, parameters: Object) -> None:
    """Any wish for a stream, in whichever of its neighbours' ways."""
    switched = any(fields.get(name) for name in ("stream", "incremental_output") for fields in (body, parameters))
    headed = "x-dashscope-sse" in call.headers or "text/event-stream" in call.headers.get("accept", "").lower()
    if switched or headed:
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)


def _tokens_max(*places: Object) -> int | None:
    limits = [count(fields.get(name)) for fields in places for name in _LIMITS]
    return min((limit for limit in limits if limit is not None), default=None)

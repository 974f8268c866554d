"""Anthropic Messages, as vLLM, SGLang, LMDeploy, llama.cpp, Ollama and DashScope speak it too. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson

from gateway.dialects import anthropic_stream
from gateway.dialects.anthropic_texts import MessageTexts
from gateway.dialects.base import Retell
from gateway.dialects.fields import (
    count,
    is_named,
    new_id,
    read_event,
    read_reply,
    refuse_case_variants,
    refuse_search,
    request_id,
    with_new,
    without_nulls,
)
from gateway.dialects.framing import Editor, Frame, Framing, ServerSentEvents, encode_sse
from gateway.dialects.parts import each_part, fields_of, inline, prompt_of
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, PictureRef, Question, Reply, Unstored, Usage

# Fields that do not change the answer: who asks, in which queue and where, and how it is delivered.
_NOT_ASKED = frozenset(
    "stream metadata service_tier speed inference_geo cache_control diagnostics request_id priority".split()
)
_KNOWN = _NOT_ASKED | frozenset(
    "model messages max_tokens system temperature top_p top_k stop_sequences tools tool_choice thinking "
    "output_config container mcp_servers".split()
)
_STATEFUL = ("container", "kv_transfer_params", "ec_transfer_params")
# Claude Code's first system block: another hash in every request. Servers take it out before the model reads it.
_BILLING = re.compile(r"x-anthropic-billing-header:(?: *(?:cc_[a-z_]+|cch)=[^;\s]*;?)+\s*")
_KEPT_BLOCKS = ("text", "tool_use", "thinking", "redacted_thinking")

_DONE_REASONS = frozenset(("end_turn", "stop_sequence"))
_NOT_DONE_REASONS = {
    "max_tokens": Unstored.TRUNCATED,
    "model_context_window_exceeded": Unstored.TRUNCATED,
    "tool_use": Unstored.TOOL_CALLS,
    "refusal": Unstored.REFUSED,
}
_SAID = ("text", "thinking")  # kinds of block, whose text stands under the same name
_TOKENS_IN = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    name: ClassVar[str] = "anthropic-messages"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    texts: ClassVar[Texts] = MessageTexts()

    def claims(self, path: str) -> bool:
        return path.endswith("/messages") and "/threads/" not in path  # OpenAI's threads have messages, too

    def parse(self, call: Call) -> Question:
        body = without_nulls(read_object(call.body))
        refuse_case_variants(body, _KNOWN)
        pictures: list[PictureRef] = []
        system = _system(body.get("system"), pictures)
        messages = _messages(body.get("messages"), pictures)
        if not pictures:
            raise NotCacheable(Bypass.NO_PICTURE)
        _refuse_state(body)
        model, stream = body.get("model", ""), body.get("stream", False)
        if not (isinstance(model, str) and isinstance(stream, bool)):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        kept = {key: item for key, item in body.items() if key not in _NOT_ASKED}
        if "system" in kept:
            kept["system"] = system
        if kept.get("tools") == []:
            del kept["tools"]
        asked = as_text(kept | {"messages": messages})
        prompt = prompt_of([{"content": system}, *map(_asking, messages)])
        return Question(
            model,
            asked,
            tuple(pictures),
            stream,
            include_usage=True,
            choices=1,
            prompt=prompt,
            request_id=request_id(body, call),
        )

    def framing(self) -> Framing:
        return ServerSentEvents()

    def whole(self, body: bytes) -> Reply | Unstored:
        value = read_reply(body)
        if isinstance(value, Unstored):
            return value
        content = value.get("content")
        if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
            return Unstored.MALFORMED
        return Reply(value)

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return anthropic_stream.assemble(frames)

    def unstorable(self, reply: Reply) -> Unstored | None:
        reason = reply.body.get("stop_reason")
        if not isinstance(reason, str):
            return Unstored.UNFINISHED
        if reason not in _DONE_REASONS:
            return _NOT_DONE_REASONS.get(reason, Unstored.UNFINISHED)
        if reply.body.get("container"):
            return Unstored.SERVER_TOOLS_RAN
        for block in reply.body["content"]:
            if block.get("type") == "tool_use":
                return Unstored.TOOL_CALLS
            if block.get("type") not in _KEPT_BLOCKS or block.get("citations"):
                return Unstored.SERVER_TOOLS_RAN
        return None if self.text(reply) else Unstored.EMPTY

    def usage(self, reply: Reply) -> Usage:
        usage = reply.body.get("usage")
        if not isinstance(usage, dict):
            return Usage(None, None)
        parts = [count(usage.get(name)) for name in _TOKENS_IN]  # each counts other tokens of the request
        tokens_in = None if parts[0] is None else sum(part or 0 for part in parts)
        return Usage(tokens_in, count(usage.get("output_tokens")))

    def text(self, reply: Reply) -> str:
        """What the model says; what it thought counts only where it says nothing else."""
        for kind in _SAID:
            blocks = [block for block in reply.body["content"] if block.get("type") == kind]
            said = [block[kind] for block in blocks if isinstance(block.get(kind), str)]
            if any(said):
                return "\n\n".join(said)
        return ""

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        old = reply.body.get("id")
        new = {"id": new_id(old, reply.named, question, fresh)} if isinstance(old, str) else {}

        def event(value: Object) -> Object:
            begun = value.get("type") == "message_start"
            return value | {"message": with_new(value["message"], new)} if begun else value

        return replace(reply, body=with_new(reply.body, new), chunks=tuple(map(event, reply.chunks)))

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        for event in reply.chunks or anthropic_stream.cut(reply.body):
            yield Frame(orjson.dumps(event).decode(), event["type"])  # SDKs pass over events without a name

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        def told(frame: Frame) -> Frame:
            if frame.data == anthropic_stream.DONE or (event := read_event(frame.data)) is None:
                return frame
            message = event.get("message")
            if event.get("type") == "message_start" and isinstance(message, dict):
                old = message.get("id")
                new = {"id": new_id(old, is_named(old, leader), question, fresh)} if isinstance(old, str) else {}
                event |= {"message": with_new(message, new)}
            kind = event.get("type")
            return Frame(orjson.dumps(event).decode(), kind if isinstance(kind, str) else frame.event)

        return told

    def encode(self, frame: Frame) -> bytes:
        return encode_sse(frame)

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        return None

    def error(self, status: int, code: str, message: str) -> bytes:
        return orjson.dumps({"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}})


def _refuse_state(body: Object) -> None:
    if any(body.get(key) for key in _STATEFUL):
        raise NotCacheable(Bypass.STATEFUL)
    refuse_search(body)
    tools = body.get("tools", [])
    if not isinstance(tools, list):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    # Anthropic's own tools have other types; some of them run at the server.
    by_client = all(isinstance(tool, dict) and tool.get("type") in (None, "custom") for tool in tools)
    if body.get("mcp_servers") or not by_client:
        raise NotCacheable(Bypass.SERVER_TOOLS)


def _messages(messages: object, pictures: list[PictureRef]) -> list[Object]:
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return [
        without_nulls(message) | {"content": each_part(message.get("content"), pictures, _block)}
        for message in messages
    ]


def _system(system: object, pictures: list[PictureRef]) -> object:
    blocks = None if system is None else each_part(system, pictures, _block)
    return [block for block in blocks if not _is_billing(block)] if isinstance(blocks, list) else blocks


def _is_billing(block: Object) -> bool:
    text = block.get("text")
    return isinstance(text, str) and _BILLING.fullmatch(text) is not None


def _block(block: object, pictures: list[PictureRef]) -> Object:
    kept = fields_of(block)
    kind = kept.get("type")
    if kind in _KEPT_BLOCKS:
        return kept
    if kind == "image":
        return kept | {"source": _source(kept.get("source"), pictures)}
    if kind == "tool_result":
        return kept | {"content": each_part(kept["content"], pictures, _block)} if "content" in kept else kept
    raise NotCacheable(Bypass.UNKNOWN_PART)


def _source(source: object, pictures: list[PictureRef]) -> Object:
    """The place of a picture. How it was sent, and the media type it was said to have, do not make it another."""
    if not isinstance(source, dict):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    match source:
        case {"type": "base64", "data": str(data)}:
            ref = inline(data)
        case {"type": "url", "url": str() | memoryview() as url}:
            ref = PictureRef(url, inlines=False)  # a source of type url must be one
        case {"type": "file"}:
            raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
        case _:
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    rest = {key: item for key, item in source.items() if key not in ("type", "data", "url", "media_type")}
    pictures.append(ref)
    return rest | {"data": {"picture": len(pictures) - 1}}


def _asking(message: Object) -> Object:
    """Without what tools said."""
    content = message["content"]
    if not isinstance(content, list):
        return message
    return message | {"content": [block for block in content if block.get("type") == "text"]}

"""OpenAI Responses, as vLLM, SGLang, LMDeploy, llama.cpp, Ollama, DashScope and Ark speak it too. Pure.

An upstream may keep an answer under its id, to be asked for or built on later; an answer of ours has an id that
it never heard of. So only requests are read that say `"store": false`, or, where the operator says that the
upstream keeps nothing, any that do not build on an earlier one.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from gateway.dialects import responses_stream
from gateway.dialects.base import Retell
from gateway.dialects.fields import (
    count,
    openai_error,
    read_reply,
    refuse_case_variants,
    refuse_search,
    request_id,
    without_nulls,
)
from gateway.dialects.framing import Editor, Frame, Framing, ServerSentEvents, encode_sse
from gateway.dialects.parts import each_part, fields_of, picture_of, prompt_of
from gateway.dialects.responses_stream import REPEATED
from gateway.dialects.responses_texts import ResponseTexts
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, PictureRef, Question, Reply, Unstored, Usage

# Fields that do not change the answer: who asks, in which queue, and how it is delivered.
_NOT_ASKED = frozenset(
    "stream metadata user safety_identifier prompt_cache_key request_id rid session_id service_tier priority "
    "extra_key".split()
)
_KNOWN = _NOT_ASKED | frozenset(
    "model input instructions stream_options store temperature top_p max_output_tokens reasoning text tools "
    "tool_choice parallel_tool_calls truncation include previous_response_id conversation background prompt".split()
)
# Delivery options that a replay honours; any other stays in the key, for it shapes the recorded events.
_REPLAYED_STREAM_OPTIONS = frozenset(("include_usage", "include_obfuscation"))
_STATEFUL = (
    *("previous_response_id", "conversation", "prompt", "background", "context_management"),
    *("session", "expire_at"),  # Ark
    *("kv_transfer_params", "ec_transfer_params", "previous_input_messages"),  # vLLM
)
_CLIENT_TOOLS = ("function", "custom")  # run by the client; any other kind may be run by the upstream
_TEXT_PARTS = ("input_text", "output_text", "text", "refusal", "reasoning_text", "summary_text")
_ITEMS = ("message", "reasoning", "function_call", "custom_tool_call")
_THOUGHTS = ("encrypted_content", "content", "summary")
_TOOL_OUTPUTS = ("function_call_output", "custom_tool_call_output")

_SAID = ("message", "reasoning")
_NOT_SAID = {"function_call": Unstored.TOOL_CALLS, "custom_tool_call": Unstored.TOOL_CALLS}
_INCOMPLETE = {"max_output_tokens": Unstored.TRUNCATED, "content_filter": Unstored.REFUSED}


class OpenAIResponses:
    name: ClassVar[str] = "openai-responses"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    texts: ClassVar[Texts] = ResponseTexts()

    def claims(self, path: str) -> bool:
        return path.endswith("/responses")

    def parse(self, call: Call) -> Question:
        body = without_nulls(read_object(call.body))
        refuse_case_variants(body, _KNOWN)
        pictures: list[PictureRef] = []
        items = _input(body.get("input"), pictures)
        if not pictures:
            raise NotCacheable(Bypass.NO_PICTURE)
        _refuse_state(body, call.stateless)
        model, stream, options = body.get("model", ""), body.get("stream", False), body.get("stream_options", {})
        if not (isinstance(model, str) and isinstance(stream, bool) and isinstance(options, dict)):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        kept = {key: item for key, item in body.items() if key not in _NOT_ASKED and key != "stream_options"}
        asked = as_text(kept | {"input": items})
        if asked.get("tools") == []:
            del asked["tools"]
        if shaping := {k: v for k, v in options.items() if v and k not in _REPLAYED_STREAM_OPTIONS}:
            asked["stream_options"] = shaping
        return Question(
            model,
            asked,
            tuple(pictures),
            stream,
            include_usage=True,
            choices=1,
            prompt=_prompt(body, items),
            request_id=request_id(body, call),
            tokens_max=count(body.get("max_output_tokens")),  # llama.cpp and transformers call any answer completed
            echoed=as_text({key: body[key] for key in REPEATED if key in body}),
        )

    def framing(self) -> Framing:
        return ServerSentEvents()

    def whole(self, body: bytes) -> Reply | Unstored:
        value = read_reply(body)
        if isinstance(value, Unstored):
            return value
        if not responses_stream.is_response(value):
            return Unstored.MALFORMED
        return responses_stream.forgetful(Reply(value))

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return responses_stream.assemble(frames)

    def unstorable(self, reply: Reply) -> Unstored | None:
        body = reply.body
        if body.get("status") != "completed":
            details = body.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            return _INCOMPLETE.get(reason, Unstored.UNFINISHED) if isinstance(reason, str) else Unstored.UNFINISHED
        for item in body["output"]:
            if why := _unstorable_item(item):
                return why
        return None if self.text(reply) else Unstored.EMPTY

    def usage(self, reply: Reply) -> Usage:
        usage = reply.body.get("usage")
        if not isinstance(usage, dict):
            return Usage(None, None)
        return Usage(count(usage.get("input_tokens")), count(usage.get("output_tokens")))

    def text(self, reply: Reply) -> str:
        """What the model says; what it thought counts only where it says nothing else."""
        for kind in _SAID:
            said = [text for item in reply.body["output"] if item.get("type") == kind for text in _texts(item)]
            if any(said):
                return "\n\n".join(said)
        return ""

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        return responses_stream.renew(reply, question, fresh)

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        for event in reply.chunks or responses_stream.cut(reply.body):
            yield Frame(orjson.dumps(event).decode(), event["type"])

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        return responses_stream.retell(leader, question, fresh)

    def encode(self, frame: Frame) -> bytes:
        return encode_sse(frame)

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        return None

    def error(self, status: int, code: str, message: str) -> bytes:
        return openai_error(status, code, message)


def _refuse_state(body: Object, stateless: bool) -> None:
    caching = body.get("caching")  # Ark
    keeps = caching is not None and caching != {"type": "disabled"}
    if keeps or any(body.get(key) for key in _STATEFUL) or not (body.get("store") is False or stateless):
        raise NotCacheable(Bypass.STATEFUL)
    refuse_search(body)
    tools = body.get("tools", [])
    if not isinstance(tools, list):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    if not all(isinstance(tool, dict) and tool.get("type") in _CLIENT_TOOLS for tool in tools):
        raise NotCacheable(Bypass.SERVER_TOOLS)


def _input(value: object, pictures: list[PictureRef]) -> list[Object]:
    if isinstance(value, str):
        raise NotCacheable(Bypass.NO_PICTURE)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return [_item(without_nulls(item), pictures) for item in value]


def _item(item: Object, pictures: list[PictureRef]) -> Object:
    """A turn. Its id is the server's for it, another in every replay, unless the model's sealed thoughts hang on it."""
    if "encrypted_content" not in item:
        item.pop("id", None)
    kind = item.get("type", "message" if "role" in item else None)
    if kind == "item_reference":
        raise NotCacheable(Bypass.STATEFUL)
    if kind == "reasoning" and not any(item.get(name) for name in _THOUGHTS):
        raise NotCacheable(Bypass.STATEFUL)  # its thoughts are the server's
    if kind in _TOOL_OUTPUTS:
        return item | {"output": each_part(item.get("output"), pictures, _part)}
    if kind not in _ITEMS:
        raise NotCacheable(Bypass.UNKNOWN_PART)
    return item | {"content": each_part(item["content"], pictures, _part)} if "content" in item else item


def _part(part: object, pictures: list[PictureRef]) -> Object:
    kept = fields_of(part)
    if kept.get("type") in _TEXT_PARTS:
        return kept
    if kept.get("type") != "input_image":
        raise NotCacheable(Bypass.UNKNOWN_PART)
    if "file_id" in kept:
        raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)
    return picture_of(kept, "image_url", pictures)


def _prompt(body: Object, items: list[Object]) -> str:
    instructions = body.get("instructions")
    turns: list[Object] = [{"content": instructions}, *(item for item in items if "role" in item)]
    return prompt_of(turns)


def _unstorable_item(item: Object) -> Unstored | None:
    kind = item.get("type")
    if kind not in _SAID:
        return _NOT_SAID.get(kind, Unstored.SERVER_TOOLS_RAN) if isinstance(kind, str) else Unstored.MALFORMED
    if item.get("status") not in (None, "completed"):
        return Unstored.UNFINISHED
    for part in _parts(item):
        if part.get("type") == "refusal":
            return Unstored.REFUSED
        if part.get("annotations"):
            return Unstored.SERVER_TOOLS_RAN
    return None


def _parts(item: Object) -> list[Object]:
    lists: list[Any] = [item.get("content"), item.get("summary")]
    return [part for found in lists if isinstance(found, list) for part in found if isinstance(part, dict)]


def _texts(item: Object) -> list[str]:
    return [part["text"] for part in _parts(item) if isinstance(part.get("text"), str)]

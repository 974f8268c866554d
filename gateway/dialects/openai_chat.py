"""OpenAI chat completions, as vLLM, SGLang, LMDeploy, llama.cpp, Ollama, DashScope and Ark speak it too. Pure.

The request's rules: every field is part of the key unless it is named in `_NOT_ASKED`. The reply's: it
is whole only if every choice has a finish reason and the stream's own end mark came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import orjson

from gateway.dialects import openai_stream
from gateway.dialects.base import Retell
from gateway.dialects.fields import (
    count,
    is_named,
    new_id,
    openai_error,
    read_event,
    read_reply,
    refuse_case_variants,
    refuse_search,
    request_id,
    with_new,
    without_nulls,
)
from gateway.dialects.framing import Editor, Frame, Framing, ServerSentEvents, encode_sse
from gateway.dialects.openai_texts import ChatTexts
from gateway.dialects.parts import prompt_of, take_pictures
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, Question, Reply, Unstored, Usage

# Fields that do not change the answer: who asks, for which bill, in which queue, and how it is delivered.
_NOT_ASKED = frozenset(
    "stream stream_options user safety_identifier metadata store request_id rid session_id prompt_cache_key "
    "prompt_cache_retention prompt_cache_options service_tier priority data_parallel_rank routed_dp_rank extra_key "
    "id_slot cache_prompt n_cache_reuse sse_ping_interval stream_interval keep_alive".split()
)
_KNOWN = _NOT_ASKED | frozenset(
    "model messages n temperature top_p top_k max_tokens max_completion_tokens stop seed frequency_penalty "
    "presence_penalty logit_bias logprobs top_logprobs response_format tools tool_choice reasoning_effort".split()
)
# Delivery options that a replay honours; any other stays in the key, for it shapes the recorded chunks.
_REPLAYED_STREAM_OPTIONS = frozenset(("include_usage", "include_obfuscation"))
_STATEFUL = (
    *("kv_transfer_params", "ec_transfer_params", "previous_response_id", "conversation", "context_id"),
    "store",  # to be asked for later, by an id that only the upstream gives
    *("session_params", "migration_request", "with_cache", "preserve_cache"),  # SGLang; LMDeploy
)
_CLIENT_TOOLS = ("function", "custom")  # run by the client; any other kind may be run by the upstream
# Paths that end alike but mean something else: Ark's bots run tools, its contexts keep state.
_OTHER_MEANINGS = ("/bots/chat/completions", "/context/chat/completions")

_DONE_REASONS = frozenset(("stop", "end_turn", "stop_sequence", "eos", "word"))
_NOT_DONE_REASONS = {
    "length": Unstored.TRUNCATED,
    "max_tokens": Unstored.TRUNCATED,
    "tool_calls": Unstored.TOOL_CALLS,
    "function_call": Unstored.TOOL_CALLS,
    "content_filter": Unstored.REFUSED,
    "refusal": Unstored.REFUSED,
}
_SAID_FIRST = ("content", "reasoning", "reasoning_content")
_RAN_TOOLS = ("search_info", "tool_info", "references", "citations")


class OpenAIChat:
    name: ClassVar[str] = "openai-chat"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    texts: ClassVar[Texts] = ChatTexts()

    def claims(self, path: str) -> bool:
        return path.endswith("/chat/completions") and not path.endswith(_OTHER_MEANINGS)

    def parse(self, call: Call) -> Question:
        body = without_nulls(read_object(call.body))
        refuse_case_variants(body, _KNOWN)
        _refuse_state(body)
        messages, pictures = take_pictures(body.get("messages"))
        if not pictures:
            raise NotCacheable(Bypass.NO_PICTURE)
        model, stream, choices = body.get("model", ""), body.get("stream", False), body.get("n", body.get("n_cmpl", 1))
        options = body.get("stream_options", {})
        if not (isinstance(model, str) and isinstance(stream, bool) and isinstance(options, dict)):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        if not isinstance(choices, int) or isinstance(choices, bool) or choices < 1:
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        asked = as_text({key: item for key, item in body.items() if key not in _NOT_ASKED} | {"messages": messages})
        if asked.get("tools") == []:  # ollama-python writes this for "none"
            del asked["tools"]
        if shaping := {k: v for k, v in options.items() if v and k not in _REPLAYED_STREAM_OPTIONS}:
            asked["stream_options"] = shaping
        include_usage = stream and options.get("include_usage") is True
        prompt = prompt_of(messages)
        return Question(model, asked, pictures, stream, include_usage, choices, prompt, request_id(body, call))

    def framing(self) -> Framing:
        return ServerSentEvents()

    def whole(self, body: bytes) -> Reply | Unstored:
        value = read_reply(body)
        if isinstance(value, Unstored):
            return value
        choices = value.get("choices")
        if not isinstance(choices, list) or not choices or not all(_is_choice(choice) for choice in choices):
            return Unstored.MALFORMED
        indices = {choice.get("index", 0) for choice in choices}
        return Reply(value) if len(indices) == len(choices) else Unstored.MALFORMED  # as a stream, two would be one

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return openai_stream.assemble(frames, choices)

    def unstorable(self, reply: Reply) -> Unstored | None:
        if any(reply.body.get(key) for key in _RAN_TOOLS):
            return Unstored.SERVER_TOOLS_RAN
        for choice in reply.body["choices"]:
            if why := _unstorable_choice(choice):
                return why
        return None

    def usage(self, reply: Reply) -> Usage:
        usage = reply.body.get("usage")
        if not isinstance(usage, dict):
            return Usage(None, None)
        return Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")))

    def text(self, reply: Reply) -> str:
        return "\n\n".join(_text(choice["message"]) for choice in reply.body["choices"])

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        new: Object = {"created": fresh.now_s}
        if isinstance(old := reply.body.get("id"), str):
            new["id"] = new_id(old, reply.named, question, fresh)
        chunks = tuple(with_new(chunk, new) for chunk in reply.chunks)
        return replace(reply, body=with_new(reply.body, new), chunks=chunks)

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        with_usage = include_usage or openai_stream.counts_unasked(reply.chunks)
        for chunk in reply.chunks or openai_stream.cut(reply.body):
            if (delivered := openai_stream.delivered(chunk, with_usage)) is not None:
                yield Frame(orjson.dumps(delivered).decode())
        yield Frame(openai_stream.DONE)

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        new: Object = {"created": fresh.now_s}
        counts = 0  # pieces of text that came with a count

        def told(frame: Frame) -> Frame | None:
            nonlocal counts
            if frame.data == openai_stream.DONE or (chunk := read_event(frame.data)) is None:
                return frame
            if isinstance(old := chunk.get("id"), str) and "id" not in new:
                new["id"] = new_id(old, is_named(old, leader), question, fresh)
            if not isinstance(chunk.get("choices"), list):
                raise ValueError("a chunk without choices")
            counts += openai_stream.is_counted_text(chunk)
            delivered = openai_stream.delivered(with_new(chunk, new), question.include_usage or counts > 1)
            return None if delivered is None else Frame(orjson.dumps(delivered).decode())

        return told

    def encode(self, frame: Frame) -> bytes:
        return encode_sse(frame)

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        if b'"stream_options"' in body:
            return None
        opening = body.index(b"{") + 1
        asking = body[:opening] + b'"stream_options":{"include_usage":true},' + body[opening:]
        return asking, openai_stream.UsageHidden()

    def error(self, status: int, code: str, message: str) -> bytes:
        return openai_error(status, code, message)


def _refuse_state(body: Object) -> None:
    if any(body.get(key, False) is not False for key in _STATEFUL):
        raise NotCacheable(Bypass.STATEFUL)
    refuse_search(body)
    if not _run_by_client(body.get("tools")):
        raise NotCacheable(Bypass.SERVER_TOOLS)
    if body.get("audio") or body.get("modalities") not in (None, ["text"]):
        raise NotCacheable(Bypass.UNKNOWN_PART)


def _run_by_client(tools: object) -> bool:
    entries = tools if isinstance(tools, list) else []
    return all(tool.get("type", "function") in _CLIENT_TOOLS for tool in entries if isinstance(tool, dict))


def _is_choice(choice: object) -> bool:
    return (
        isinstance(choice, dict) and isinstance(choice.get("message"), dict) and isinstance(choice.get("index", 0), int)
    )


def _unstorable_choice(choice: Object) -> Unstored | None:
    message: Object = choice["message"]
    if message.get("tool_calls") or message.get("function_call"):
        return Unstored.TOOL_CALLS
    if message.get("refusal") or choice.get("moderation_hit_type"):
        return Unstored.REFUSED
    if message.get("annotations"):
        return Unstored.SERVER_TOOLS_RAN
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        return Unstored.UNFINISHED
    if reason not in _DONE_REASONS:
        return _NOT_DONE_REASONS.get(reason, Unstored.UNFINISHED)
    if not any(message.get(key) for key in openai_stream.TEXTS):
        return Unstored.EMPTY
    return None


def _text(message: Object) -> str:
    """What the model says; what it thought counts only where it says nothing else."""
    said = next((message[key] for key in _SAID_FIRST if message.get(key)), "")
    return said if isinstance(said, str) else orjson.dumps(said).decode()

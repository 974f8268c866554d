"""Ollama's own `/api/chat` and `/api/generate`, which SGLang serves, too. Pure.

A stream is lines of JSON, and it is the default. Pictures are raw base64 beside the text, in a list of their own. A
request without a question loads or unloads the model. Token counts and durations come with the last line, always.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import orjson

from gateway.dialects import ollama_stream
from gateway.dialects.base import Retell
from gateway.dialects.fields import count, read_event, read_reply, with_new, without_nulls
from gateway.dialects.framing import Editor, Frame, Framing, Lines, encode_line
from gateway.dialects.ollama_texts import OllamaTexts
from gateway.dialects.parts import inline, prompt_of
from gateway.dialects.strict_json import as_text, read_object
from gateway.dialects.texts import Texts
from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, PictureRef, Question, Reply, Unstored, Usage

_NOT_ASKED = frozenset(("stream", "keep_alive"))
_KNOWN = _NOT_ASKED | frozenset(
    "model messages prompt suffix system template context raw format images options tools think truncate shift "
    "logprobs top_logprobs role content thinking tool_calls _debug_render_only".split()
)
_DONE_REASONS = {"stop": None, "length": Unstored.TRUNCATED}


class _Ollama:
    """What the two have in common."""

    stream_type: ClassVar[str] = "application/x-ndjson"
    texts: ClassVar[Texts] = OllamaTexts()

    def framing(self) -> Framing:
        return Lines()

    def encode(self, frame: Frame) -> bytes:
        return encode_line(frame)

    def whole(self, body: bytes) -> Reply | Unstored:
        value = read_reply(body)
        if isinstance(value, Unstored):
            return value
        whole = value.get("done") is True and ollama_stream.saying(value) is not None
        return Reply(value) if whole else Unstored.MALFORMED

    def assemble(self, frames: Sequence[Frame], choices: int) -> Reply | Unstored:
        return ollama_stream.assemble(frames)

    def unstorable(self, reply: Reply) -> Unstored | None:
        said = ollama_stream.saying(reply.body) or {}
        if said.get("tool_calls"):
            return Unstored.TOOL_CALLS
        reason = reply.body.get("done_reason")
        if not isinstance(reason, str) or reason not in _DONE_REASONS:  # "load", or what is newer than this version
            return Unstored.UNFINISHED
        return _DONE_REASONS[reason] or (None if _text(said) else Unstored.EMPTY)

    def usage(self, reply: Reply) -> Usage:
        return Usage(count(reply.body.get("prompt_eval_count")), count(reply.body.get("eval_count")))

    def text(self, reply: Reply) -> str:
        return _text(ollama_stream.saying(reply.body) or {})

    def renew(self, reply: Reply, question: Question, fresh: Fresh) -> Reply:
        """Durations stay: what the answer took to make, not to serve."""
        new = _new(fresh)
        chunks = tuple(with_new(chunk, new) for chunk in reply.chunks)
        return replace(reply, body=with_new(reply.body, new), chunks=chunks)

    def retell(self, leader: Question, question: Question, fresh: Fresh) -> Retell:
        def told(frame: Frame) -> Frame:
            line = read_event(frame.data)
            return frame if line is None else Frame(orjson.dumps(with_new(line, _new(fresh))).decode())

        return told

    def body(self, reply: Reply) -> bytes:
        return orjson.dumps(reply.body)

    def stream(self, reply: Reply, include_usage: bool) -> Iterable[Frame]:
        for chunk in reply.chunks or ollama_stream.cut(reply.body):
            yield Frame(orjson.dumps(chunk).decode())

    def asking_usage(self, body: bytes) -> tuple[bytes, Editor] | None:
        return None

    def error(self, status: int, code: str, message: str) -> bytes:
        return orjson.dumps({"error": message})


class OllamaChat(_Ollama):
    name: ClassVar[str] = "ollama-chat"

    def claims(self, path: str) -> bool:
        return path.endswith("/api/chat")

    def parse(self, call: Call) -> Question:
        body = _read(call)
        messages = body.get("messages", [])
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        if not messages:
            raise NotCacheable(Bypass.STATEFUL)  # loads the model, or unloads it
        pictures: list[PictureRef] = []
        placed = [_message(message, pictures) for message in messages]
        return _question(body, {"messages": placed}, pictures, prompt_of(placed))


class OllamaGenerate(_Ollama):
    name: ClassVar[str] = "ollama-generate"

    def claims(self, path: str) -> bool:
        return path.endswith("/api/generate")

    def parse(self, call: Call) -> Question:
        body = _read(call)
        prompt = body.get("prompt", "")
        if not isinstance(prompt, str):
            raise NotCacheable(Bypass.UNKNOWN_SHAPE)
        # Without a prompt it loads or unloads the model; a context is an earlier talk, whose pictures are not here.
        if not prompt or body.get("context"):
            raise NotCacheable(Bypass.STATEFUL)
        pictures: list[PictureRef] = []
        placed = _placed(body, pictures)
        texts = [text for text in (body.get("system"), prompt, body.get("suffix")) if isinstance(text, str) and text]
        return _question(body, placed, pictures, "\n".join(texts))


def _new(fresh: Fresh) -> Object:
    return {"created_at": f"{datetime.fromtimestamp(fresh.now_s, UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _read(call: Call) -> Object:
    body = without_nulls(read_object(call.body))
    _refuse_folded(body)
    if body.get("_debug_render_only"):  # the prompt as the model would get it, and no answer
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    return body


def _refuse_folded(value: Object) -> None:
    """Go takes `"Stream"`, and even `"ſtream"`, for `"stream"`; Python's servers do not know them."""
    if any(key not in _KNOWN and key.casefold() in _KNOWN for key in value):
        raise NotCacheable(Bypass.AMBIGUOUS_JSON)


def _question(body: Object, placed: Object, pictures: list[PictureRef], prompt: str) -> Question:
    model, stream = body.get("model", ""), body.get("stream", True)
    if not (isinstance(model, str) and isinstance(stream, bool)):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    if not pictures:
        raise NotCacheable(Bypass.NO_PICTURE)
    asked = as_text({key: item for key, item in body.items() if key not in (*_NOT_ASKED, "images")} | placed)
    if asked.get("tools") == []:  # ollama-python writes this for "none"
        del asked["tools"]
    options = body.get("options")
    return Question(
        model,
        asked,
        tuple(pictures),
        stream,
        include_usage=False,  # counts come with the last line, asked for or not
        choices=1,
        prompt=prompt,
        # SGLang says "stop" of every answer.
        tokens_max=count(options.get("num_predict")) if isinstance(options, dict) else None,
    )


def _message(message: Object, pictures: list[PictureRef]) -> Object:
    kept = without_nulls(message)
    _refuse_folded(kept)
    if not isinstance(kept.get("content", ""), str):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    placed = _placed(kept, pictures)
    return {key: item for key, item in kept.items() if key != "images"} | placed


def _placed(value: Object, pictures: list[PictureRef]) -> Object:
    """The `images` of a message or a request, each with its number in place of its base64. None and [] are one."""
    images = value.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    first = len(pictures)
    pictures += map(inline, images)
    return {"images": [{"picture": number} for number in range(first, len(pictures))]} if images else {}


def _text(said: Object) -> str:
    """What the model says; what it thought counts only where it says nothing else."""
    found = said.get("content") or said.get("response") or said.get("thinking")
    return found if isinstance(found, str) else ""

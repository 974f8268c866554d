"""A chat completion as a stream of chunks, put together and cut apart. Pure.

`assemble` turns the chunks of a whole stream into the body that the same answer would have had in one
piece; `cut` does the reverse. `assemble(cut(body))` is `body` again, unknown fields and nulls included.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.dialects.fields import read_reply
from gateway.dialects.framing import Frame
from gateway.question import Object, Reply, Unstored

DONE = "[DONE]"
_EVENT_END = re.compile(rb"(\r?\n\r?\n)")
_HELD_BYTES_MAX = 65_536  # an event of nothing but usage is far smaller; what never ends must not fill the memory
TEXTS = ("reasoning", "reasoning_content", "content", "refusal")

_LISTS = ("token_ids", "tool_calls")
_IN_EVERY_CHUNK = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_WITH_THE_TEXT = ("logprobs", "token_ids")
_PADDING = "obfuscation"  # random, against listeners who measure chunks; no part of an answer


class UsageHidden:
    """Drops the closing chunk that holds nothing but usage; every other byte passes as it is."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        *events, self._held = _EVENT_END.split(self._held + data)
        # The split keeps each event's blank line as the piece after it.
        pairs = zip(events[::2], events[1::2], strict=True)
        passed = b"".join(event + end for event, end in pairs if not _only_usage(event))
        if len(self._held) > _HELD_BYTES_MAX:
            passed, self._held = passed + self._held, b""
        return passed

    def rest(self) -> bytes:
        return self._held


def _only_usage(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        chunk = orjson.loads(event.removeprefix(b"data:"))
    except orjson.JSONDecodeError:
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and chunk.get("usage") is not None


def assemble(frames: Sequence[Frame], choices: int) -> Reply | Unstored:
    chunks: list[Object] = []
    done = False
    for frame in frames:
        if done:
            return Unstored.MALFORMED
        if frame.data == DONE:
            done = True
            continue
        chunk = _read(frame)
        if isinstance(chunk, Unstored):
            return chunk
        chunks.append(chunk)
    body = _join(chunks)
    if isinstance(body, Unstored):
        return body
    finished = [choice.get("finish_reason") is not None for choice in body["choices"]]
    if not (done or _closed_by_usage(chunks)) or len(finished) != choices or not all(finished):
        return Unstored.CUT_SHORT
    return Reply(body, tuple(chunks))


def _closed_by_usage(chunks: Sequence[Object]) -> bool:
    """Some servers (transformers') never send [DONE]: their last piece of text brings the usage, known only then.
    Usage in every chunk, or in a chunk of its own, comes from servers that do send it."""
    if not chunks:
        return False
    *before, last = chunks
    earlier = any(chunk.get("usage") is not None for chunk in before)
    return bool(last["choices"]) and last.get("usage") is not None and not earlier


def counts_unasked(chunks: Sequence[Object]) -> bool:
    """Whether the server gives token counts to everybody (vLLM's --enable-force-include-usage): with every piece of
    text, which who wants it must ask for by an option that is part of the key."""
    return sum(map(is_counted_text, chunks)) > 1


def is_counted_text(chunk: Object) -> bool:
    return bool(chunk["choices"]) and chunk.get("usage") is not None


def delivered(chunk: Object, include_usage: bool) -> Object | None:
    """The chunk as a client gets it that did or did not ask for usage; None if it does not get it."""
    if include_usage:
        return chunk
    if not chunk["choices"] and chunk.get("usage") is not None:
        return None
    return {key: item for key, item in chunk.items() if key != "usage" or item is not None}


def cut(body: Object) -> Iterator[Object]:
    """The chunks of an answer that came in one piece: per choice its role, its text and its end; then usage."""
    base = {key: body[key] for key in _IN_EVERY_CHUNK if key in body} | {"object": "chat.completion.chunk"}
    closing = body.get("usage") is not None
    extras = {key: item for key, item in body.items() if key not in (*base, "choices", "usage")}
    if "usage" in body and not closing:
        extras["usage"] = None
    for choice in body["choices"]:
        for piece in _cut_choice(choice):
            yield base | {"choices": [{"index": choice.get("index", 0), **piece}]} | extras
            extras = {}
    if closing:
        yield base | {"choices": [], "usage": body["usage"]}


def _cut_choice(choice: Object) -> Iterator[Object]:
    message: Object = choice["message"]
    texts = {key: message[key] for key in TEXTS if isinstance(message.get(key), str)}
    opening = {key: item for key, item in message.items() if key not in texts} | dict.fromkeys(texts, "")
    yield {"delta": opening, "finish_reason": None}
    with_text = {key: choice[key] for key in _WITH_THE_TEXT if key in choice}
    for name in TEXTS:
        if texts.get(name):
            yield {"delta": {name: texts[name]}, **with_text, "finish_reason": None}
            with_text = {}
    ending = {k: v for k, v in choice.items() if k not in ("index", "message", "delta", *_WITH_THE_TEXT)}
    yield {"delta": {}, **with_text, **ending}


def _read(frame: Frame) -> Object | Unstored:
    chunk = read_reply(frame.data)
    if isinstance(chunk, Unstored):
        return chunk
    if frame.event == "error":
        return Unstored.ERROR_IN_REPLY
    # SGLang names an event where it is asked for more than an answer; a replay would not have the name.
    named = frame.event not in (None, "", "message")
    return chunk if isinstance(chunk.get("choices"), list) and not named else Unstored.MALFORMED


def _join(chunks: Sequence[Object]) -> Object | Unstored:
    body: Object = {}
    choices: dict[int, Object] = {}
    for chunk in chunks:
        for key, item in chunk.items():
            if key not in ("choices", _PADDING) and (body.get(key) is None or (key == "usage" and item is not None)):
                body[key] = item
        for choice in chunk["choices"]:
            if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
                return Unstored.MALFORMED
            index = choice.get("index", 0)
            if not isinstance(index, int):
                return Unstored.MALFORMED
            if why := _add_choice(choices.setdefault(index, {"index": index, "message": {}}), choice):
                return why
    usage = {"usage": body.pop("usage")} if "usage" in body else {}
    ordered = [choices[index] for index in sorted(choices)]
    return body | {"object": "chat.completion", "choices": ordered} | usage


def _add_choice(whole: Object, piece: Object) -> Unstored | None:
    message: Object = whole["message"]
    for key, item in piece["delta"].items():
        known = key in TEXTS or key in _LISTS
        if not known and None not in (item, message.get(key)) and item != message[key]:
            return Unstored.MALFORMED  # it comes in pieces, and only its inventor knows how they join
        _add(message, key, item, text=key in TEXTS)
    for key, item in piece.items():
        if key not in ("index", "delta"):
            _add(whole, key, item)
    return None


def _add(whole: Object, key: str, item: Any, text: bool = False) -> None:
    """Texts and lists grow, log probabilities grow list by list, of anything else the last that is set counts."""
    old = whole.get(key)
    if item is None:
        whole.setdefault(key, None)
    elif text and isinstance(item, str) and isinstance(old, str):
        whole[key] = old + item
    elif key in _LISTS and isinstance(item, list) and isinstance(old, list):
        whole[key] = old + item
    elif key == "logprobs" and isinstance(item, dict) and isinstance(old, dict):
        whole[key] = {k: _joined(old.get(k), item.get(k)) for k in {**old, **item}}
    else:
        whole[key] = item


def _joined(old: Any, item: Any) -> Any:
    if isinstance(old, list) and isinstance(item, list):
        return old + item
    return old if item is None else item

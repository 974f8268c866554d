"""A message as a stream of named events, put together and cut apart. Pure.

`assemble` turns the events of a whole stream into the body that the same answer would have had in one piece;
`cut` does the reverse. `assemble(cut(body))` is `body` again. Token counts come in two places: those of the
question with the first event, those of the answer with the last but one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.dialects.fields import read_reply
from gateway.dialects.framing import Frame
from gateway.question import Object, Reply, Unstored

DONE = "[DONE]"  # not in the format; vLLM ends with it all the same
# The field that each kind of delta continues, under the same name.
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_IN_PIECES = ("text", "thinking")  # kinds of block
_COUNTED_LAST = "output_tokens"


def assemble(frames: Sequence[Frame]) -> Reply | Unstored:
    joining = _Joining()
    events: list[Object] = []
    for frame in frames:
        if frame.data == DONE and joining.ended:
            continue
        event = read_reply(frame.data)
        if isinstance(event, Unstored):
            return event
        if "error" in (event.get("type"), frame.event):
            return Unstored.ERROR_IN_REPLY
        if "ping" in (event.get("type"), frame.event):  # sent against impatient proxies: no part of an answer
            continue
        if joining.ended or not joining.add(event):
            return Unstored.MALFORMED
        events.append(event)
    if not joining.is_whole():
        return Unstored.CUT_SHORT
    return Reply(joining.body, tuple(events))


class _Joining:
    """A message as far as it has come."""

    def __init__(self) -> None:
        self.body: Object = {}
        self.ended = False
        self._blocks: list[Object] = []
        self._open: Object | None = None
        self._arguments = ""  # JSON of a tool's arguments, of which the pieces are none

    def is_whole(self) -> bool:
        return self.ended and self._open is None and self.body.get("stop_reason") is not None

    def add(self, event: Object) -> bool:
        """False if the event has no place here."""
        match event:
            case {"type": "message_start", "message": {"content": []} as message} if not self.body:
                self.body = dict(message) | {"content": self._blocks}
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                return self._start(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                return self._is_open(index) and self._grow(delta)
            case {"type": "content_block_stop", "index": int(index)}:
                return self._is_open(index) and self._stop()
            case {"type": "message_delta", "delta": dict(delta)} if self._takes(delta):
                self.body |= delta
                self._count(event.get("usage"))
            case {"type": "message_stop"} if self.body:
                self.ended = True
            case _:
                return False
        return True

    def _takes(self, delta: Object) -> bool:
        return bool(self.body) and self._open is None and "content" not in delta

    def _is_open(self, index: int) -> bool:
        return self._open is not None and index == len(self._blocks) - 1

    def _start(self, index: int, block: Object) -> bool:
        if not self.body or self._open is not None or index != len(self._blocks):
            return False
        self._open = dict(block)
        self._blocks.append(self._open)
        return True

    def _grow(self, delta: Object) -> bool:
        assert self._open is not None
        kind = delta.get("type")
        if kind == "input_json_delta" and isinstance(delta.get("partial_json"), str):
            self._arguments += delta["partial_json"]
            return True
        if kind == "citations_delta" and "citation" in delta:
            so_far = self._open.get("citations") or []
            self._open["citations"] = [*so_far, delta["citation"]] if isinstance(so_far, list) else so_far
            return isinstance(so_far, list)
        field = _DELTAS.get(kind, "") if isinstance(kind, str) else ""
        piece, so_far = delta.get(field), self._open.get(field) or ""
        if not isinstance(piece, str) or not isinstance(so_far, str):
            return False
        self._open[field] = so_far + piece
        return True

    def _stop(self) -> bool:
        assert self._open is not None
        if self._arguments:
            try:
                self._open["input"] = orjson.loads(self._arguments)
            except orjson.JSONDecodeError:
                return False
        self._open, self._arguments = None, ""
        return True

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            before = self.body.get("usage")
            counted = {key: item for key, item in usage.items() if item is not None}
            self.body["usage"] = {**(before if isinstance(before, dict) else {}), **counted}


def cut(body: Object) -> Iterator[Object]:
    """The events of a message that came in one piece."""
    usage = body.get("usage")
    first, last = _cut_usage(usage)
    begun = body | {"content": []} | {key: None for key in ("stop_reason", "stop_sequence") if key in body}
    yield {"type": "message_start", "message": begun | first}
    for index, block in enumerate(body["content"]):
        start, deltas = _cut_block(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {key: body[key] for key in ("stop_reason", "stop_sequence") if key in body}
    yield {"type": "message_delta", "delta": ending, **last}
    yield {"type": "message_stop"}


def _cut_usage(usage: Any) -> tuple[Object, Object]:
    """What of it the first event says, and the last but one."""
    if not isinstance(usage, dict) or usage.get(_COUNTED_LAST) is None:
        return {}, {}
    return {"usage": usage | {_COUNTED_LAST: 0}}, {"usage": {_COUNTED_LAST: usage[_COUNTED_LAST]}}


def _cut_block(block: Object) -> tuple[Object, list[Object]]:
    """The block as it begins, and what makes it grow."""
    if block.get("type") == "tool_use" and "input" in block:
        arguments = orjson.dumps(block["input"]).decode()
        return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": arguments}]
    if block.get("type") not in _IN_PIECES:
        return block, []
    growing = {kind: field for kind, field in _DELTAS.items() if isinstance(block.get(field), str) and block[field]}
    deltas: list[Object] = [{"type": kind, field: block[field]} for kind, field in growing.items()]
    return block | dict.fromkeys(growing.values(), ""), deltas

"""A response as a stream of named events, put together, cut apart and renewed. Pure.

The last event holds the whole response, so nothing needs to be joined. Every event names what it is about by its
id, so a replay exchanges the ids in all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeGuard

import orjson

from gateway.dialects.base import Retell
from gateway.dialects.fields import is_named, new_id, read_event, read_reply, with_new
from gateway.dialects.framing import Frame
from gateway.question import Fresh, Object, Question, Reply, Unstored

_DONE = "[DONE]"  # not in the format, but some servers end every stream with it
_LAST = ("response.completed", "response.incomplete")
_FAILED = ("error", "response.failed")
HEARTBEATS = ("keepalive", "response.heartbeat")
_TIMES = ("created_at", "completed_at")
# What a response repeats of its request, and what is not ours to keep: it comes back from the request that is answered.
REPEATED = ("instructions", "metadata", "user", "safety_identifier", "prompt_cache_key")
# What a part holds in one piece, by its type, and the events that bring it in pieces.
_PIECES = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
}


def is_response(value: Object) -> bool:
    output = value.get("output")
    return isinstance(output, list) and all(isinstance(item, dict) for item in output)


def _is_begun(value: object) -> TypeGuard[Object]:
    """Whether it is a response as far as it has come."""
    return isinstance(value, dict) and is_response(value | {"output": value.get("output", [])})


def assemble(frames: Sequence[Frame]) -> Reply | Unstored:
    events: list[Object] = []
    whole: Object | None = None
    for frame in frames:
        if frame.data == _DONE and whole is not None:
            continue
        event = _read(frame)
        if isinstance(event, Unstored):
            return event
        if event["type"] in HEARTBEATS:
            continue
        if whole is not None:
            return Unstored.MALFORMED
        events.append(event)
        if event["type"] in _LAST:
            whole = event["response"]
    return Unstored.CUT_SHORT if whole is None else forgetful(Reply(whole, tuple(events)))


def _read(frame: Frame) -> Object | Unstored:
    event = read_reply(frame.data)
    if isinstance(event, Unstored):
        return event
    kind = event.get("type")
    if kind in _FAILED or frame.event in _FAILED:
        return Unstored.ERROR_IN_REPLY
    if not isinstance(kind, str):
        return Unstored.MALFORMED
    if "response" in event or kind in _LAST:
        response = event.get("response")
        if not _is_begun(response):
            return Unstored.MALFORMED
        if response.get("error") is not None:
            return Unstored.ERROR_IN_REPLY
        if kind in _LAST and "output" not in response:
            return Unstored.MALFORMED
    return event


def cut(body: Object) -> Iterator[Object]:
    """The events of a response that came in one piece, in the order in which a server sends them."""
    numbers = count()
    begun = body | {name: None for name in ("usage", "completed_at", "incomplete_details") if name in body}
    begun |= {"status": "in_progress", "output": []}
    closing = "response.completed" if body.get("status") == "completed" else "response.incomplete"

    def event(kind: str, **fields: Any) -> Object:
        return {"type": kind, "sequence_number": next(numbers), **fields}

    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(body["output"]):
        parts = item["content"] if isinstance(item.get("content"), list) else []
        opened = item | ({"status": "in_progress"} if "status" in item else {}) | ({"content": []} if parts else {})
        yield event("response.output_item.added", output_index=index, item=opened)
        for number, part in enumerate(parts):
            where = {"item_id": item.get("id", ""), "output_index": index, "content_index": number}
            for kind, fields in _cut_part(part):
                yield event(kind, **where, **fields)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(closing, response=body)


def _cut_part(part: Any) -> Iterator[tuple[str, Object]]:
    name, series = _PIECES.get(str(part.get("type")), ("", "")) if isinstance(part, dict) else ("", "")
    if not name or not isinstance(part.get(name), str):
        yield "response.content_part.added", {"part": part}
        yield "response.content_part.done", {"part": part}
        return
    logprobs = {"logprobs": part.get("logprobs") or []} if part["type"] == "output_text" else {}
    yield "response.content_part.added", {"part": part | {name: ""}}
    yield f"{series}.delta", {"delta": part[name], **logprobs}
    yield f"{series}.done", {name: part[name], **logprobs}
    yield "response.content_part.done", {"part": part}


def forgetful(reply: Reply) -> Reply:
    """The reply without what it repeats of its request: `{}` or null, as for a request that says nothing."""

    return _over_responses(reply, _forgotten)


def _forgotten(value: Object) -> Object:
    return with_new(value, {name: {} if isinstance(value.get(name), dict) else None for name in REPEATED})


def renew(reply: Reply, question: Question, fresh: Fresh) -> Reply:
    """New ids and times in body and events; what they repeat of a request is `question`'s."""
    renewing = _Renewing(_new_ids(reply, question, fresh), question, fresh)
    renewed = _over_responses(reply, renewing.response)
    return replace(renewed, chunks=tuple(map(renewing.event, renewed.chunks)))


def retell(leader: Question, question: Question, fresh: Fresh) -> Retell:
    """The same for a stream that is still under way. Whether thoughts are sealed shows only at their end, so that they
    keep their ids."""
    ids: dict[str, str] = {}
    numbers = count()
    renewing = _Renewing(ids, question, fresh)

    def meet(item: Object) -> None:
        old = item.get("id")
        if isinstance(old, str) and old not in ids:
            kept = item.get("type") == "reasoning"
            ids[old] = old if kept else new_id(old, False, question, fresh) + f"{next(numbers):02x}"

    def told(frame: Frame) -> Frame:
        if frame.data == _DONE or (event := read_event(frame.data)) is None:
            return frame
        kind, response = event.get("type"), event.get("response")
        if not isinstance(kind, str) or (response is not None and not _is_begun(response)):
            raise ValueError("an event of no known form")
        if kind in HEARTBEATS or kind in _FAILED:
            return frame
        if response is not None:
            if isinstance(old := response.get("id"), str) and old not in ids:
                ids[old] = new_id(old, is_named(old, leader), question, fresh)
            for item in response.get("output", []):
                meet(item)
            event |= {"response": renewing.response(_forgotten(response))}
        for item in (event.get("item"), {"id": event.get("item_id")}):
            if isinstance(item, dict):
                meet(item)
        return Frame(orjson.dumps(renewing.event(event)).decode(), kind)

    return told


@dataclass(frozen=True, slots=True)
class _Renewing:
    """`ids` are old ones to new ones."""

    ids: Mapping[str, str]
    question: Question
    fresh: Fresh

    def response(self, value: Object) -> Object:
        now_s = self.fresh.now_s
        times = {name: type(value[name])(now_s) for name in _TIMES if isinstance(value.get(name), int | float)}
        output = [self._renamed(item) for item in value.get("output", [])]
        return self._renamed(with_new(value, times | self.question.echoed | {"output": output}))

    def event(self, value: Object) -> Object:
        item = value.get("item")
        return self._renamed(value | {"item": self._renamed(item)} if isinstance(item, dict) else value)

    def _renamed(self, value: Object) -> Object:
        found = {name: value[name] for name in ("id", "item_id", "response_id") if isinstance(value.get(name), str)}
        return with_new(value, {name: self.ids.get(old, old) for name, old in found.items()})


def _over_responses(reply: Reply, change: Callable[[Object], Object]) -> Reply:
    """The reply with every response in it changed, those in its events too."""

    def event(value: Object) -> Object:
        return value | {"response": change(value["response"])} if isinstance(value.get("response"), dict) else value

    return replace(reply, body=change(reply.body), chunks=tuple(map(event, reply.chunks)))


def _new_ids(reply: Reply, question: Question, fresh: Fresh) -> dict[str, str]:
    """Old ids to new ones. An item with sealed thoughts keeps its own: the seal would not fit another."""
    items = [*reply.body["output"], *(chunk["item"] for chunk in reply.chunks if isinstance(chunk.get("item"), dict))]
    sealed = [item.get("id") for item in items if item.get("encrypted_content")]
    mentioned = [{"id": chunk["item_id"]} for chunk in reply.chunks if "item_id" in chunk]
    ids: dict[str, str] = {}
    for item in (*items, *mentioned):
        old = item.get("id")
        if isinstance(old, str) and old not in ids and old not in sealed:
            ids[old] = new_id(old, False, question, fresh) + f"{len(ids):02x}"
    if isinstance(old := reply.body.get("id"), str):
        ids[old] = new_id(old, reply.named, question, fresh)
    return ids

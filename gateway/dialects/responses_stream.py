"""A response as a stream of named events, put together, cut apart and renewed. Pure.

The last event holds the whole response, so nothing needs to be joined. Every event names what it is about by its
id, so a replay exchanges the ids in all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from gateway.dialects.fields import new_id, read_reply, with_new
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
        if not isinstance(response, dict) or not is_response(response | {"output": response.get("output", [])}):
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

    def response(value: Object) -> Object:
        return with_new(value, {name: {} if isinstance(value.get(name), dict) else None for name in REPEATED})

    return _over_responses(reply, response)


def renew(reply: Reply, question: Question, fresh: Fresh) -> Reply:
    """New ids and times in body and events; what they repeat of a request is `question`'s."""
    ids = _new_ids(reply, question, fresh)

    def response(value: Object) -> Object:
        times = {name: type(value[name])(fresh.now_s) for name in _TIMES if isinstance(value.get(name), int | float)}
        output = [renamed(item) for item in value.get("output", [])]
        return renamed(with_new(value, times | question.echoed | {"output": output}))

    def renamed(value: Object) -> Object:
        found = {name: value[name] for name in ("id", "item_id", "response_id") if isinstance(value.get(name), str)}
        return with_new(value, {name: ids.get(old, old) for name, old in found.items()})

    def event(value: Object) -> Object:
        return renamed(value | {"item": renamed(value["item"])} if isinstance(value.get("item"), dict) else value)

    renewed = _over_responses(reply, response)
    return replace(renewed, chunks=tuple(map(event, renewed.chunks)))


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

"""An event as the JSON that a receiver gets, and which part of it may lie on disk until then. Pure.

A prompt never goes to disk, nor does the answer of a request that said no-store: these are held in memory. Should the
process end before they are delivered, the event is sent without them.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson

from gateway.events import Event

TYPE: Final = "rule.matched"


@dataclass(frozen=True, slots=True)
class Message:
    """One event for one webhook. `shown` is JSON that may be on disk; `withheld` completes its `data`."""

    id: str
    webhook: str
    entry: str | None
    time_s: float  # Unix time
    shown: bytes = field(repr=False)
    withheld: dict[str, str] = field(repr=False)

    @property
    def bytes(self) -> int:
        return len(self.shown) + sum(len(text.encode(errors="replace")) for text in self.withheld.values())


def messages(event: Event, event_id: str, prompts: frozenset[str]) -> list[Message]:
    """One for each of the event's webhooks; those in `prompts` may be sent the prompt."""
    return [_message(event, event_id, name, name in prompts) for name in dict.fromkeys(event.webhooks)]


def body(shown: bytes, withheld: dict[str, str]) -> bytes:
    """The JSON to send."""
    if not withheld:
        return shown
    said = orjson.loads(shown)
    said["data"] |= withheld
    return orjson.dumps(said)


def _message(event: Event, event_id: str, webhook: str, prompt: bool) -> Message:
    withheld = {"prompt": _sound(event.prompt)} if prompt and event.prompt is not None else {}
    if not event.keep:
        withheld["answer"] = _sound(event.answer)
    data = {
        "rule": event.rule,
        "tags": event.tags,
        "label": event.label,
        "answer": _sound(event.answer) if event.keep else None,
        "prompt": None,
        "model": event.model,
        "dialect": event.dialect,
        "hit": event.hit,
        "entry": event.entry,
        "request": event.request,
        "tenant": event.tenant,
    }
    time = datetime.fromtimestamp(event.time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = orjson.dumps({"type": TYPE, "id": event_id, "timestamp": time, "data": data})
    return Message(event_id, webhook, event.entry, event.time_s, shown, withheld)


def _sound(text: str) -> str:
    """Without what JSON cannot say: half of a surrogate pair."""
    return text.encode(errors="replace").decode()

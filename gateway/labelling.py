"""Rules that hold only if a classifier says so: asked after the answer was delivered, beside all requests.

What waits is bounded. What waits when the gateway stops is lost.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from gateway.events import Classifier, Event, Events
from gateway.rules.book import tags
from gateway.rules.settings import Rule

log = logging.getLogger("lookalike")

_WAITING_MOST: Final = 1000
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """An answer, and the rules that hold for it but for their label. `event` is the one to send, without a rule."""

    rules: Sequence[Rule]
    text: str = field(repr=False)  # as the model gave it
    prompt: str | None = field(repr=False)
    event: Event


class Labelling:
    """`count` is told of tags that came too late for their request's own outcome."""

    def __init__(self, classifier: Classifier, events: Events, count: Callable[[tuple[str, ...]], None]) -> None:
        self._classifier = classifier
        self._events = events
        self._count = count
        self._put, self._take = anyio.create_memory_object_stream[Unlabelled](_WAITING_MOST)

    def put(self, waiting: Unlabelled) -> bool:
        """Whether there was room."""
        try:
            self._put.send_nowait(waiting)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def run(self) -> None:
        with self._take:
            async with anyio.create_task_group() as tasks:
                for _ in range(_AT_ONCE):
                    tasks.start_soon(self._work)

    def close(self) -> None:
        self._put.close()
        self._take.close()

    async def _work(self) -> None:
        async for waiting in self._take:
            try:
                await self._label(waiting)
            except Exception:
                log.exception("an answer could not be classified")

    async def _label(self, waiting: Unlabelled) -> None:
        """Each classifier is asked once."""
        labels: dict[str, str | None] = {}
        held: list[tuple[Rule, str]] = []
        for rule in waiting.rules:
            name = rule.classifier or ""
            if name not in labels:
                labels[name] = await self._classifier.label(name, waiting.prompt, waiting.text)
            if (label := labels[name]) is not None and label in (rule.label or {})[name]:
                held.append((rule, label))
        late = tags([rule for rule, _ in held])
        if late:
            self._count(tuple(tag for tag in late if tag not in waiting.event.tags))
        every = tuple(dict.fromkeys((*waiting.event.tags, *late)))
        for rule, label in held:
            if rule.notify:
                told = replace(waiting.event, rule=rule.name, webhooks=tuple(rule.notify), tags=every, label=label)
                self._events.publish(told)

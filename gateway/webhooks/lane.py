"""One webhook's deliveries. A lane waits for nobody else's receiver.

A failed attempt makes its event wait, by itself, and the whole lane as well until the receiver takes something again:
a dead receiver is asked once in a while, however much waits for it, and an event that it cannot take holds up no other.
"""

import asyncio
import logging
import random
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import anyio
import httpx

from gateway.backoff import NAMED_MOST_S
from gateway.webhooks.message import body
from gateway.webhooks.post import post
from gateway.webhooks.queue import Held, Queue, Row
from gateway.webhooks.schedule import Again, Delivered, Pace, SetAside, judge
from gateway.webhooks.settings import Webhook

log = logging.getLogger("lookalike")

_AT_ONCE = 4
_LOOK_AGAIN_S = 60.0  # at the latest, should someone set the clock
_DISK_AGAIN_S = 5.0
# No wait is longer: a time that is further off means that someone set the clock back, and counts as come.
_WAIT_MOST_S = 1.25 * NAMED_MOST_S


@dataclass(slots=True)
class Tally:
    """Of one webhook, since the start."""

    delivered: int = 0
    failed: int = 0  # set aside
    dropped: int = 0
    attempts_failed: int = 0


class Lane:
    """Runs in the outbox's thread; `report` may be called from any."""

    def __init__(self, webhook: Webhook, queue: Queue, clock: Callable[[], float], pace: Pace) -> None:
        self._webhook = webhook
        self._tally = Tally()
        self._held = queue.held(webhook.name)  # those included that wait for the disk
        self._turn = threading.Lock()  # over that
        self._aside = queue.count_aside(webhook.name)
        self._key = webhook.key()
        self._queue = queue
        self._clock = clock
        self._pace = pace
        self._chance = random.Random()
        self._failures = 0  # in a row
        self._paused_until_s = 0.0
        self._trouble: str | None = None  # of the last attempt
        self._under_way: set[str] = set()
        self._woken = asyncio.Event()

    def take(self, more: int) -> bool:
        """Whether an event of so many bytes finds room; otherwise it is dropped. From any thread."""
        webhook = self._webhook
        with self._turn:
            held = self._held
            room = held.events < webhook.queue_events_max and held.bytes + more <= webhook.queue_bytes_max
            if room:
                self._held = Held(held.events + 1, held.bytes + more)
            else:
                self._tally.dropped += 1
        if not room and self._tally.dropped == 1:
            log.warning("the queue of the webhook %s is full: events are dropped", webhook.name)
        return room

    def changed(self, before: Held, after: Held) -> None:
        """The queue was changed by someone else."""
        with self._turn:
            held = self._held
            self._held = Held(held.events + after.events - before.events, held.bytes + after.bytes - before.bytes)
        self._aside = self._queue.count_aside(self._webhook.name)
        self.wake()

    def report(self) -> dict[str, Any]:
        return {
            "queued": self._held.events,
            "queued_bytes": self._held.bytes,
            "delivered": self._tally.delivered,
            "failed": self._tally.failed,
            "dropped": self._tally.dropped,
            "attempts_failed": self._tally.attempts_failed,
            "set_aside": self._aside,
            "trouble": self._trouble,
        }

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def hurry(self) -> None:
        """Someone says that the receiver is back."""
        self._failures, self._paused_until_s = 0, 0.0
        self.wake()

    async def run(self, http: httpx.AsyncClient) -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                self._woken.clear()
                try:
                    wait_s = self._set_off(http, tasks)
                except sqlite3.Error as error:
                    wait_s = self._excused(error)
                except Exception:  # the other lanes go on
                    log.exception("the webhook %s cannot be served", self._webhook.name)
                    wait_s = _DISK_AGAIN_S
                with anyio.move_on_after(wait_s):
                    await self._woken.wait()

    def _set_off(self, http: httpx.AsyncClient, tasks: anyio.abc.TaskGroup) -> float:
        """Begin what may begin. Seconds until there may be more."""
        now_s = self._clock()
        if 0 < (left_s := self._paused_until_s - now_s) <= _WAIT_MOST_S:
            return min(_LOOK_AGAIN_S, left_s)
        free = (1 if self._failures else _AT_ONCE) - len(self._under_way)
        if free <= 0:
            return _LOOK_AGAIN_S  # the end of a delivery wakes
        rows = [row for row in self._queue.next(self._webhook.name, _AT_ONCE * 2) if row.id not in self._under_way]
        for row in rows[:free]:
            if 0 < (left_s := row.due_s - now_s) <= _WAIT_MOST_S:
                return min(_LOOK_AGAIN_S, left_s)
            self._under_way.add(row.id)
            tasks.start_soon(self._deliver, http, row)
        return _LOOK_AGAIN_S

    async def _deliver(self, http: httpx.AsyncClient, row: Row) -> None:
        try:
            await self._attempt(http, row)
        except sqlite3.Error as error:  # it is tried again: better twice than never
            await anyio.sleep(self._excused(error))
        except Exception:
            log.exception("an event for the webhook %s could not be sent", self._webhook.name)
            await anyio.sleep(_DISK_AGAIN_S)
        finally:
            self._under_way.discard(row.id)
            self.wake()

    async def _attempt(self, http: httpx.AsyncClient, row: Row) -> None:
        data = body(row.shown, self._queue.withheld(row))
        attempt = await post(http, self._webhook, self._key, row.id, data, self._clock())
        now_s, most_s = self._clock(), self._webhook.give_up_after_s
        pace, chance, age_s = self._pace, self._chance, now_s - row.time_s
        verdict = judge(attempt, row.attempts + 1, pace, chance, now_s=now_s, age_s=age_s, most_s=most_s)
        if not isinstance(verdict, Delivered):
            self._failed(attempt.word, now_s, attempt.wait_s)
        match verdict:
            case Delivered():
                self._failures, self._paused_until_s, self._trouble = 0, 0.0, None
                if self._queue.delivered(row):
                    self._let_go(row)
                self._tally.delivered += 1
            case Again(due_s):
                self._queue.again(row, due_s, attempt.word)
            case SetAside():
                if self._queue.set_aside(row, now_s, attempt.word):
                    self._let_go(row)
                self._queue.trim_aside(self._webhook.name, self._webhook.queue_events_max)
                self._aside = self._queue.count_aside(self._webhook.name)
                self._tally.failed += 1
            case _:
                assert_never(verdict)

    def _failed(self, word: str, now_s: float, named_s: float | None) -> None:
        if not self._failures:
            log.warning("the webhook %s does not take events (%s); they wait", self._webhook.name, word)
        self._tally.attempts_failed += 1
        self._trouble = word
        if 0 < self._paused_until_s - now_s <= _WAIT_MOST_S:  # what was on its way together counts as one failure
            return
        self._failures += 1
        self._paused_until_s = now_s + self._pace.wait_s(self._failures, named_s, self._chance)

    def _let_go(self, row: Row) -> None:
        with self._turn:
            self._held = Held(self._held.events - 1, self._held.bytes - row.bytes)

    def _excused(self, error: sqlite3.Error) -> float:
        log.warning("the webhook queue cannot be used: %s; events wait", error)
        return _DISK_AGAIN_S

"""Events on their way: taken in at once, put on disk and sent by a thread of its own.

`publish` costs whoever calls it a lock and an append. What was published is on disk within milliseconds; from then on
it is sent until its receiver takes it, or it is too old, whatever ends this process. It may come twice, never half.
"""

import asyncio
import logging
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from gateway.events import Event
from gateway.webhooks import post
from gateway.webhooks.lane import Lane
from gateway.webhooks.message import Message, messages
from gateway.webhooks.queue import Queue
from gateway.webhooks.schedule import Pace
from gateway.webhooks.settings import Webhook

log = logging.getLogger("lookalike")

WEBHOOKS_FILE: Final = "webhooks.sqlite"
_DISK_AGAIN_S = 5.0
_ASIDE_KEPT_S = 30 * 86_400
_PACE: Final = Pace()
Result = TypeVar("Result")


class Outbox:
    """`file` None: in memory only. Without webhooks, and with nothing left of earlier ones, there is no thread."""

    def __init__(
        self, webhooks: Sequence[Webhook], file: Path | None, clock: Callable[[], float], pace: Pace = _PACE
    ) -> None:
        self._clock = clock
        self._prompts = frozenset(webhook.name for webhook in webhooks if webhook.prompt)
        self._turn = threading.Lock()
        self._came: list[Message] = []  # what waits for the disk
        self._arrived, self._stop = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lanes: dict[str, Lane] = {}
        self._queue = Queue.open(file) if webhooks or (file is not None and file.exists()) else None
        if self._queue is not None:
            self._lanes = {webhook.name: Lane(webhook, self._queue, clock, pace) for webhook in webhooks}
            self._tidy(self._queue)

    def start(self) -> None:
        if self._queue is None:
            return
        queue, running = self._queue, Future[asyncio.AbstractEventLoop]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work(queue, running)), name="webhooks")
        self._thread.daemon = True
        self._thread.start()
        self._loop = running.result()

    def close(self) -> None:
        """What waits for the disk is written; what is on its way is sent again after the next start. Blocking."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop = self._thread = None
        if self._queue is not None:
            self._queue.close()

    def publish(self, event: Event) -> None:
        """Take an event, from any thread. Neither waits nor raises."""
        for message in messages(event, f"evt_{secrets.token_hex(12)}", self._prompts):
            try:
                self._take(message)
            except Exception:
                log.exception("an event could not be taken")

    def report(self) -> dict[str, Any]:
        """What waits, and what became of the rest since the start, by webhook. From any thread."""
        unwritten = Counter(message.webhook for message in self._unwritten())
        return {name: lane.report() | {"unwritten": unwritten[name]} for name, lane in self._lanes.items()}

    async def aside(self, most: int) -> list[dict[str, Any]]:
        """The last events that were set aside, newest first."""
        return await self._done(lambda queue: queue.aside(most), [])

    async def retry(self, webhook: str, event_id: str | None = None) -> int:
        """Let what was set aside for this webhook, one of the settings, wait once more. How many."""

        def wait_again(queue: Queue) -> int:
            with self._recounting(queue):
                return queue.retry(webhook, event_id, self._clock())

        count = await self._done(wait_again, 0)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._lanes[webhook].hurry)
        return count

    async def forget(self, entries: frozenset[str], marks: frozenset[str] = frozenset()) -> None:
        """Delete every event about these entries that is still here. `marks` are pictures', which no event shows."""

        def delete(queue: Queue) -> None:
            self._write_down(queue)
            with self._recounting(queue):
                queue.forget(entries)

        await self._done(delete, None)

    def _take(self, message: Message) -> None:
        if not self._lanes[message.webhook].take(message.bytes):
            return
        with self._turn:
            self._came.append(message)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._arrived.set)

    # What follows runs in the thread, but for `_done` and `_tidy`.

    async def _work(self, queue: Queue, running: "Future[asyncio.AbstractEventLoop]") -> None:
        running.set_result(asyncio.get_running_loop())
        try:
            async with post.client() as http, anyio.create_task_group() as tasks:
                for lane in self._lanes.values():
                    tasks.start_soon(lane.run, http)
                tasks.start_soon(self._write, queue)
                await self._stop.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._write_down(queue)

    async def _write(self, queue: Queue) -> None:
        while True:
            if not self._write_down(queue):
                await anyio.sleep(_DISK_AGAIN_S)
                continue
            await self._arrived.wait()
            self._arrived.clear()

    def _write_down(self, queue: Queue) -> bool:
        """Whether all that had come is on disk; otherwise it still waits."""
        batch = self._unwritten()
        if not batch:
            return True
        try:
            queue.add(batch)
        except sqlite3.Error as error:
            log.warning("%d events for webhooks cannot be written: %s; they wait in memory", len(batch), error)
            return False
        with self._turn:
            del self._came[: len(batch)]
        for name in {message.webhook for message in batch}:
            self._lanes[name].wake()
        return True

    @contextmanager
    def _recounting(self, queue: Queue) -> Iterator[None]:
        """Around a change of what is in the queue."""
        before = {name: queue.held(name) for name in self._lanes}
        try:
            yield
        finally:
            for name, lane in self._lanes.items():
                lane.changed(before[name], queue.held(name))

    def _unwritten(self) -> list[Message]:
        """What is not on disk yet."""
        with self._turn:
            return list(self._came)

    async def _done(self, do: Callable[[Queue], Result], otherwise: Result) -> Result:
        """Done by the thread, between its other work; called from another loop."""
        queue, loop = self._queue, self._loop
        if queue is None or loop is None:
            return otherwise

        async def done() -> Result:
            return do(queue)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), loop))

    def _tidy(self, queue: Queue) -> None:
        """What waits for webhooks that are no more in the settings is set aside; what was set aside long ago goes."""
        now_s = self._clock()
        try:
            for name in queue.webhooks() - set(self._lanes):
                count = queue.strand(name, now_s)
                log.warning("the webhook %s is not in the settings: %d events for it are set aside", name, count)
            queue.expire(now_s - _ASIDE_KEPT_S)
        except sqlite3.Error as error:
            log.warning("the webhook queue cannot be tidied: %s", error)

"""The engine of both commands: items in, results kept, never more than `concurrency` of anything in memory.

Order of things: a result is on disk before its worker takes the next item, so whatever ends the process, at most
`concurrency` answers were paid for and not kept. Results that come together share one commit.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gateway.bulk.ask import Stopped
from gateway.bulk.items import BadInput, GaveUp, Item, Result
from gateway.bulk.journal import Journal

Marked = tuple[Item, bytes]
Ask = Callable[[Item], Awaitable[Result]]
# Failing one after the other, for every question, whatever it is.
_FAILED_MOST: Final = 20
Count = Callable[[Result], str | None]


@dataclass(slots=True)
class Engine:
    """`ask` gives an item's result or raises Stopped; `count` hears of each that was kept, and may say why to go no
    further."""

    journal: Journal
    concurrency: int
    ask: Ask
    count: Count
    stop: anyio.Event
    why: str | None = None  # why it ended early
    _waiting: list[tuple[Item, bytes, Result]] = field(default_factory=list)
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self, items: Iterator[Marked]) -> None:
        """Ask these until there are no more, or until `stop`. `items` is read in a worker thread. Raises GaveUp; what
        was answered by then is kept."""
        send, receive = anyio.create_memory_object_stream[Marked](0)
        async with anyio.create_task_group() as tasks:
            for _ in range(self.concurrency):
                tasks.start_soon(self._work, receive.clone())
            receive.close()
            async with send:
                await self._hand_out(items, send)
        if self.why is not None:
            raise GaveUp(self.why)

    async def _hand_out(self, items: Iterator[Marked], send: MemoryObjectSendStream[Marked]) -> None:
        try:
            while not self.stop.is_set():
                marked = await anyio.to_thread.run_sync(next, items, None)
                if marked is None:
                    return
                await send.send(marked)
        except BadInput as error:  # the input was read before: it changed under our hands
            self._end(str(error))

    async def _work(self, items: MemoryObjectReceiveStream[Marked]) -> None:
        async with items:
            async for item, mark in items:
                if self.stop.is_set():
                    continue  # what was handed on already has no result, and is asked the next time
                try:
                    result = await self.ask(item)
                    await self._keep(item, mark, result)
                except Stopped:
                    continue
                except GaveUp as gave_up:
                    self._end(str(gave_up))
                    continue
                if why := self.count(result):
                    self._end(why)

    async def _keep(self, item: Item, mark: bytes, result: Result) -> None:
        """Whoever has the turn writes for all who wait."""
        mine = item, mark, result
        self._waiting.append(mine)
        with anyio.CancelScope(shield=True):  # it is paid for
            async with self._turn:
                if any(each is mine for each in self._waiting):
                    batch, self._waiting = self._waiting, []
                    await anyio.to_thread.run_sync(functools.partial(self.journal.write, batch))

    def _end(self, why: str) -> None:
        self.why = self.why or why
        self.stop.set()


def too_many(failed_in_a_row: int, concurrency: int, last: str) -> str | None:
    """Why to go no further after so many failures with no answer between them."""
    if failed_in_a_row < max(_FAILED_MOST, 2 * concurrency):
        return None
    return f"{failed_in_a_row} questions one after the other failed; the last: {last}"

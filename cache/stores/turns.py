"""Changes of a store, one after the other. No change of its own; embedded.py says what a turn does.

A turn is planned on the event loop when it comes (so it sees what the turn before it left), carried out
in the worker thread, and finished on the loop. A task that is cancelled while its turn is being carried
out does not stop it: what was written is also finished, so memory and disk cannot part.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# What to do in the worker, and what to make of its result on the loop.
Plan = Callable[[], tuple[Callable[[], R], Callable[[R], T]]]


class Turns:
    """The queue before one worker thread."""

    def __init__(self, worker: Executor) -> None:
        self._worker = worker
        self._waiting: deque[tuple[Plan[Any, Any], asyncio.Future[Any], Executor]] = deque()
        self._busy = False

    def take(self, plan: Plan[R, T], worker: Executor | None = None) -> asyncio.Future[T]:
        """Stand in line; the work is done by `worker`, if it is another than the usual one. The future holds what the
        finish returned, or the exception of plan, work or finish."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((plan, done, worker or self._worker))
        self._next()
        return done

    def _next(self) -> None:
        while self._waiting and not self._busy:
            plan, done, worker = self._waiting.popleft()
            if not done.cancelled():  # whoever asked has gone before anything began
                self._begin(plan, done, worker)

    def _begin(self, plan: Plan[Any, Any], done: asyncio.Future[Any], worker: Executor) -> None:
        loop = asyncio.get_running_loop()
        try:
            work, finish = plan()
            working = worker.submit(work)
        except Exception as error:
            done.set_exception(error)
            return
        self._busy = True
        working.add_done_callback(lambda worked: loop.call_soon_threadsafe(self._settle, worked, finish, done))

    def _settle(self, worked: Future[Any], finish: Callable[[Any], Any], done: asyncio.Future[Any]) -> None:
        self._busy = False
        try:
            outcome = finish(worked.result())
        except Exception as error:
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(outcome)
        self._next()

"""The processes of an evaluation: one function over many items, in this process or in several, and stopped cleanly.

The only file here that knows processes. A worker ignores Ctrl-C; it looks at an event between two pictures instead,
so that nobody is stopped in the middle of a write and no traceback of a worker reaches the terminal.
"""

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import Self, TypeVar

from embeddings.base import Embedder
from gateway.evaluate.bench import Bench, Setup

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Bench, T], R]

_WAITING_PER_JOB = 4  # enough that no worker waits for us
_bench: Bench | None = None  # of a worker process


class Crew:
    def __init__(self, setup: Setup, jobs: int, embedder: Embedder | None = None) -> None:
        """`embedder` serves this process; others load their own."""
        self._setup, self._jobs, self._embedder = setup, jobs, embedder
        self._alone: Bench | None = None

    def __enter__(self) -> Self:
        if self._jobs == 1:
            self._alone = Bench(self._setup, self._embedder)
            return self
        context = get_context("spawn")  # a fork of a process with threads may hang
        self._stop = context.Event()
        self._pool = ProcessPoolExecutor(self._jobs, context, _start, (self._setup, self._stop))
        return self

    def __exit__(self, *_: object) -> None:
        if self._alone is None:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Work[T, R], items: Iterable[T]) -> Iterator[R]:
        """`work` on every item, in any order. Raises what it raises."""
        if self._alone is not None:
            yield from (work(self._alone, item) for item in items)
            return
        rest, running = iter(items), set[Future[R]]()
        while True:
            room = _WAITING_PER_JOB * self._jobs - len(running)
            running |= {self._pool.submit(_apply, work, item) for item in islice(rest, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _start(setup: Setup, stop: Event) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _bench = Bench(setup, stopped=stop.is_set)


def _apply(work: Work[T, R], item: T) -> R:
    assert _bench is not None
    return work(_bench, item)

"""Embedding for an event loop: load in the background, embed on one worker thread, batch what waits.

The only asynchronous file of the package. Rule: every job in the queue is answered exactly once, by the
worker or by `close()`; a caller that went away is skipped. Jobs and states change under one lock, and
`concurrent.futures.Future` carries each answer to whichever loop awaits it, so no task is ever made.

    start() ──► worker thread: load ──► take what waits ──► embed ──► answer ──► take …
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from embeddings.base import RGB, Embedder, EmbedderFault, EmbedderUnavailable, Loaded, Space, Vectors

log = logging.getLogger(__name__)

# On one CPU core a picture costs CLIP 0.13 s alone as in a batch, so a bigger one would only make its first
# caller wait for its last; a GPU is fed well enough with eight.
BATCH_MAX: Final = 8
# A batch that takes this long hangs: who comes after it is not kept waiting, until it has ended after all.
STUCK_S: Final = 10.0
# A load that broke (no memory, a bad disk) is tried again after this long, and ever more rarely.
_RELOAD_FIRST_S, _RELOAD_MAX_S = 30.0, 600.0
# A batch takes about a second; only a download is longer, and that must not hold up a shutdown.
CLOSE_GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Loading:
    """Not there yet; every request is a miss meanwhile."""


@dataclass(frozen=True, slots=True)
class Ready:
    embedder: Embedder
    note: str | None  # why it is a fallback
    caution: str | None = None  # what is doubtful about how it is set


@dataclass(frozen=True, slots=True)
class Failed:
    """What was asked for cannot be had: there will be no embedder in this process."""

    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Loading broke, which need not be for good: it is tried again. Every request is a miss meanwhile."""

    why: str


State = Loading | Ready | Failed | Broken


class Embedded(NamedTuple):
    """Vectors of one caller's pictures, and his share of the time that the embedder worked for the batch."""

    space: Space
    vectors: Vectors
    seconds: float


@dataclass(eq=False, slots=True)
class _Job:
    pictures: tuple[RGB, ...]
    answer: "Future[Embedded | None]" = field(default_factory=Future)


class EmbeddingService:
    """Owns one embedder and the one thread that may touch it."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        batch_max: int = BATCH_MAX,
        reload_s: float = _RELOAD_FIRST_S,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._load = load
        self._reload_s = reload_s
        self._monotonic = monotonic
        self._batch_max = batch_max
        self._changed = threading.Condition()  # guards everything below
        self._state: State = Loading()
        self._waiting: deque[_Job] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._begun_s: float | None = None  # when the batch in hand was taken
        self._faults = 0
        self._settled: Future[State] = Future()  # done when loading has ended for the first time
        self._stopped: Future[None] = Future()

    @property
    def state(self) -> State:
        return self._state

    @property
    def faults(self) -> int:
        """Calls that the embedder failed at, since the start."""
        return self._faults

    @property
    def is_stuck(self) -> bool:
        """Whether the batch in hand takes longer than any should."""
        begun_s = self._begun_s
        return begun_s is not None and self._monotonic() - begun_s > STUCK_S

    def start(self) -> None:
        """Begins to load and returns at once."""
        with self._changed:
            if self._thread is not None or self._closed:
                raise RuntimeError("an EmbeddingService starts once")
            # A daemon: a download that hangs must not keep the process alive.
            self._thread = threading.Thread(target=self._run, name="embedder", daemon=True)
            self._thread.start()

    async def ready(self) -> State:
        """Waits until loading has ended one way or the other; what it broke at is tried again later."""
        return await asyncio.shield(asyncio.wrap_future(self._settled))

    async def embed(self, pictures: Sequence[RGB]) -> Embedded | None:
        """None if there is no embedder (yet, or any more), or it hangs. Raises `EmbedderFault`."""
        job = _Job(tuple(pictures))
        with self._changed:
            state = self._state
            if not isinstance(state, Ready) or self.is_stuck:
                return None
            if not job.pictures:
                return Embedded(state.embedder.space, np.empty((0, state.embedder.space.dim), dtype=np.float32), 0.0)
            self._waiting.append(job)
            self._changed.notify()
        # Cancelling this await cancels the job's future; the worker then passes it over.
        return await asyncio.wrap_future(job.answer)

    async def close(self) -> None:
        """Answers who waits with None, lets the batch in hand end, and joins the thread (see CLOSE_GRACE_S)."""
        with self._changed:
            self._closed = True
            self._settle(Failed("closed"))
            thread, dropped = self._thread, list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for job in dropped:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_result(None)
        if thread is None:
            return
        await asyncio.wait([asyncio.wrap_future(self._stopped)], timeout=CLOSE_GRACE_S)
        if self._stopped.done():
            thread.join()
        else:
            log.warning("embedder is still busy after %.0f s; left behind", CLOSE_GRACE_S)

    # The worker thread.

    def _run(self) -> None:
        try:
            embedder = self._loaded_at_last()
            while embedder is not None and (batch := self._take()):
                self._begun_s = begun_s = self._monotonic()
                answers = _work(embedder, batch, self._batch_max)
                each_s = (self._monotonic() - begun_s) / sum(len(job.pictures) for job in batch)
                self._begun_s = None
                for job, answer in answers:
                    if isinstance(answer, EmbedderFault):
                        self._faults += 1
                        job.answer.set_exception(answer)
                    else:
                        job.answer.set_result(Embedded(embedder.space, answer, each_s * len(job.pictures)))
        finally:
            self._stopped.set_result(None)

    def _loaded_at_last(self) -> Embedder | None:
        """None if there will be none, or the service was closed."""
        pause_s = self._reload_s
        while isinstance(state := self._loaded(), Broken):
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, pause_s):
                    return None
            pause_s = min(2 * pause_s, _RELOAD_MAX_S)
        return state.embedder if isinstance(state, Ready) else None

    def _loaded(self) -> Ready | Failed | Broken:
        state: Ready | Failed | Broken
        try:
            loaded = self._load()
            state = Ready(loaded.embedder, loaded.note, loaded.caution)
        except EmbedderUnavailable as error:
            state = Failed(str(error))
        except Exception as error:  # a bug in a loader leaves a gateway without near hits, not a dead one
            log.exception("loading the embedder broke")
            state = Broken(f"{type(error).__name__}: {error}")
        with self._changed:
            if self._closed:
                return Failed("closed")  # which close() has said
            self._settle(state)
        match state:
            case Ready(embedder, note, caution):
                for words in filter(None, (note, caution)):
                    log.warning("embedder: %s", words)
                log.info("embedder ready: %s", embedder.space.key)
            case Failed(why):
                log.warning("no embedder, hence no near hits: %s", why)
            case Broken(why):
                log.warning("no embedder for now, hence no near hits; it is tried again: %s", why)
        return state

    def _settle(self, state: Ready | Failed | Broken) -> None:
        """The lock is held."""
        self._state = state
        if not self._settled.done():
            self._settled.set_result(state)

    def _take(self) -> list[_Job]:
        """What waits, up to a batch of pictures (but at least one job); empty means stop."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return []
                batch: list[_Job] = []
                pictures = 0
                while self._waiting:
                    job = self._waiting[0]
                    if batch and pictures + len(job.pictures) > self._batch_max:
                        break
                    self._waiting.popleft()
                    if job.answer.set_running_or_notify_cancel():
                        batch.append(job)
                        pictures += len(job.pictures)
                if batch:
                    return batch


Answer = Vectors | EmbedderFault


def _work(embedder: Embedder, batch: list[_Job], batch_max: int) -> list[tuple[_Job, Answer]]:
    """Every job of the batch with its answer. A batch that fails is tried job by job, to find the bad one."""
    try:
        vectors = _embed(embedder, [picture for job in batch for picture in job.pictures], batch_max)
    except Exception as error:  # whatever an embedder raises is the embedder's fault
        if len(batch) == 1:
            fault = EmbedderFault(f"{type(error).__name__}: {error}")
            fault.__cause__ = error
            return [(batch[0], fault)]
        return [answer for job in batch for answer in _work(embedder, [job], batch_max)]
    answers: list[tuple[_Job, Answer]] = []
    for job in batch:
        mine, vectors = vectors[: len(job.pictures)], vectors[len(job.pictures) :]
        answers.append((job, mine.copy()))  # a copy: no caller holds another's vectors
    return answers


def _embed(embedder: Embedder, pictures: list[RGB], batch_max: int) -> Vectors:
    """In slices of `batch_max`, for a single job may be bigger than a batch."""
    slices = [pictures[start : start + batch_max] for start in range(0, len(pictures), batch_max)]
    vectors = np.concatenate([embedder.embed(part) for part in slices])
    if vectors.shape != (len(pictures), embedder.space.dim) or not np.isfinite(vectors).all():
        # Such a row in an index would poison every later search; it stops here.
        raise ValueError(f"{embedder.space.name} gave vectors of shape {vectors.shape}, or not finite")
    return vectors

"""One batch at work, from its check to its results. What ends the process may end it anywhere: it goes on from there.

validating ──► failed                                       something is wrong with the file
    └──────► in_progress ──► finalizing ──► completed       every line has a result
                  ├────────────────────────► expired        its 24 hours are over; what came is kept
                  └──► cancelling ─────────► cancelled      somebody asked for it; what came is kept
"""

import functools
import logging
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread
import httpx
import orjson
from starlette.types import ASGIApp

from gateway.backoff import may_retry
from gateway.batches.inward import client
from gateway.batches.objects import Batch, Counts, Status, Wrong
from gateway.batches.register import Register
from gateway.batches.results import Input, write_results
from gateway.batches.shelf import Shelf
from gateway.batchlimits import BatchLimits
from gateway.bulk.ask import Asker, Pacer, Stopped, wait_unless
from gateway.bulk.engine import Engine, too_many
from gateway.bulk.items import Answer, BadInput, Failure, GaveUp, Item, Posted, Refused, Result
from gateway.bulk.journal import Journal
from gateway.errors import Overloaded, UpstreamBusy, UpstreamDown, UpstreamUnreachable

log = logging.getLogger("lookalike")

Fields = tuple[tuple[bytes, bytes], ...]
# An upstream that is down is asked again after so long, twice as long each time.
_PAUSE_S: Final = 15.0
_PAUSE_MOST_S: Final = 600.0
# Nothing was asked: the line is still to be.
_NOT_ASKED: Final = frozenset(one.code for one in (UpstreamUnreachable, UpstreamDown, UpstreamBusy, Overloaded))
_EXPIRED: Final = Failure("batch_expired", "the batch's 24 hours were over before this line was asked")
_CANCELLED: Final = Failure("batch_cancelled", "the batch was cancelled before this line was asked")


@dataclass(frozen=True, slots=True)
class Means:
    """What every run works with. `seats` are shared by all of them."""

    app: ASGIApp
    register: Register
    shelf: Shelf
    limits: BatchLimits
    line_bytes_max: int
    seats: anyio.Semaphore
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    new_id: Callable[[str], str]


@dataclass(slots=True)
class Run:
    """`stop` ends it soon: what is being asked is waited for and kept. Without `credentials` it asks nothing."""

    means: Means
    batch: Batch
    credentials: Fields | None = field(repr=False)
    stop: anyio.Event = field(default_factory=anyio.Event)
    counts: Counts = field(default_factory=Counts)
    _refused: Failure | None = None
    _failed_in_a_row: int = 0

    async def __call__(self) -> None:
        """As far as it goes. Raises sqlite3.Error and OSError; then it is to be tried again."""
        journal = await anyio.to_thread.run_sync(self._open)
        if journal is None:
            return await self._fail("journal_damaged", "the record of this batch is damaged: create it again")
        with closing(journal):
            source = Input(self.means.shelf, self.batch, journal, self.means.line_bytes_max)
            await self._advance(source)
            if not self.batch.status.is_open:
                await anyio.to_thread.run_sync(journal.remove)
        return None

    async def _advance(self, source: Input) -> None:
        await self._look_again()
        if not self.batch.status.is_open:
            return None  # it ended since it was looked up
        if not source.is_there:
            return await self._fail("no_file", "the input file is not there any more")
        if self.batch.status is Status.VALIDATING:
            await self._validate(source)
        if self.batch.status is Status.IN_PROGRESS and self.credentials is not None:
            await self._ask(source, self.credentials)
        await self._look_again()
        done = self.counts.completed + self.counts.failed >= self.batch.counts.total
        ends = self.batch.status in (Status.CANCELLING, Status.FINALIZING) or done or self._expired()
        if self.batch.status.is_open and ends:
            await self._finish(source)
        return None

    async def _validate(self, source: Input) -> None:
        total, wrong = await anyio.to_thread.run_sync(source.check, self.means.limits.lines_max)

        def judged(batch: Batch) -> Batch:
            if batch.status is not Status.VALIDATING:
                return batch
            counts = Counts(0 if wrong else total)
            status = Status.FAILED if wrong else Status.IN_PROGRESS
            return replace(batch, errors=wrong, counts=counts).moved(status, self.means.clock())

        await self._change(judged)
        self.counts = self.batch.counts

    async def _ask(self, source: Input, credentials: Fields) -> None:
        """Until every line has a result, or `stop`, or the time is over."""
        means, pause_s = self.means, _PAUSE_S / 2
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.batch.fields]
        async with client(means.app, [*fields, *credentials]) as asking:
            ask = functools.partial(self._one, self._asker(asking))
            while True:
                engine = Engine(source.journal, means.limits.concurrency, ask, self._count, anyio.Event())
                before = self.counts.completed
                try:
                    with closing(source.open_items(self._ends)) as items:
                        await engine.run(items)
                    return
                except GaveUp as why:
                    log.warning("batch %s pauses: %s", self.batch.id, why)
                pause_s = _PAUSE_S if self.counts.completed > before else min(_PAUSE_MOST_S, 2 * pause_s)
                self._failed_in_a_row = 0
                with anyio.move_on_after(pause_s):
                    await self.stop.wait()
                if self._ends() or not source.is_there:
                    return

    def _asker(self, asking: httpx.AsyncClient) -> Asker:
        means, wait = self.means, functools.partial(wait_unless, self.stop)
        pacer = Pacer(None, means.monotonic, wait)
        return Asker(asking, pacer, means.limits.retries, means.monotonic, means.clock, wait, random.Random())

    async def _one(self, ask: Asker, item: Item) -> Result:
        assert isinstance(item.asks, Posted)
        async with self.means.seats:
            if self._refused is not None:
                return self._refused
            if self._ends():
                raise Stopped
            try:
                result = await ask(item.asks.path, orjson.dumps(item.asks.body))
            except Refused as refused:
                self._refused = refused.failure  # what is true of this line is true of all that are left
                return refused.failure
        if isinstance(result, Failure) and result.code in _NOT_ASKED:
            raise GaveUp(result.message)
        return result

    def _count(self, result: Result) -> str | None:
        counts = self.counts
        if isinstance(result, Answer):
            self._failed_in_a_row = 0
            self.counts = replace(counts, completed=counts.completed + 1)
            return None
        self.counts = replace(counts, failed=counts.failed + 1)
        self._failed_in_a_row += result.status is None or may_retry(result.status)
        return too_many(self._failed_in_a_row, self.means.limits.concurrency, f"{result.code}: {result.message}")

    async def _finish(self, source: Input) -> None:
        def finalizing(batch: Batch) -> Batch:
            if batch.status is Status.IN_PROGRESS and not self._expired():
                return batch.moved(Status.FINALIZING, self.means.clock())
            return batch

        await self._change(finalizing)
        cancelled = self.batch.status is Status.CANCELLING
        expired = self.batch.status is not Status.FINALIZING
        last = Status.CANCELLED if cancelled else Status.EXPIRED if expired else Status.COMPLETED
        await anyio.to_thread.run_sync(self._write, source, last)

    def _write(self, source: Input, last: Status) -> None:
        means, now_s = self.means, self.means.clock()
        absent = _CANCELLED if last is Status.CANCELLED else _EXPIRED
        new_id = functools.partial(means.new_id, "file-")
        written, files = write_results(replace(source, batch=self.batch), absent, new_id, int(now_s))
        self.batch = written.moved(last, now_s)
        try:
            means.register.add(*files, self.batch)
        except BaseException:
            for file in files:
                means.shelf.drop(file.id)
            raise
        counts = self.batch.counts
        log.info("batch %s %s: %d answered, %d failed", self.batch.id, last, counts.completed, counts.failed)

    async def _fail(self, code: str, message: str) -> None:
        log.error("batch %s failed: %s", self.batch.id, message)
        failed = replace(self.batch, errors=(Wrong(code, message),)).moved(Status.FAILED, self.means.clock())
        await self._change(lambda _: failed)

    def _open(self) -> Journal | None:
        """The journal; None where it is damaged. Raises sqlite3.Error."""
        try:
            journal = Journal.open(self.means.shelf.journal(self.batch.id), {"batch": self.batch.id})
        except BadInput as error:
            if isinstance(error.__cause__, sqlite3.OperationalError):
                raise error.__cause__ from error  # a full disk: no reason to give up what was paid for
            log.error("batch %s: %s", self.batch.id, error)
            return None
        completed, failed_lines = journal.counts()
        self.counts = Counts(self.batch.counts.total, completed, failed_lines)
        return journal

    async def _change(self, change: Callable[[Batch], Batch]) -> None:
        self.batch = await anyio.to_thread.run_sync(self.means.register.change, self.batch.id, change)

    async def _look_again(self) -> None:
        """Whether it was cancelled, or ended, meanwhile."""
        await self._change(lambda batch: batch)

    def _expired(self) -> bool:
        return self.means.clock() >= self.batch.expires_s

    def _ends(self) -> bool:
        return self.stop.is_set() or self._expired()

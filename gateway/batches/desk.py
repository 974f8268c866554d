"""Which batches are at work: started in turn, tenants before one another's second batch, stopped, and cleared away.

What is known of them is in the register; here is only what a process needs beside it, which a restart may lose.
"""

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
import anyio.to_thread
from starlette.types import ASGIApp

from gateway import headers
from gateway.batches.keys import Keys
from gateway.batches.objects import Batch, Counts, File, Status
from gateway.batches.register import Register
from gateway.batches.run import Means, Run
from gateway.batches.shelf import Shelf, Writing
from gateway.batchlimits import BatchLimits

log = logging.getLogger("lookalike")

FOLDER: Final = "batches"
_LOOK_EVERY_S: Final = 30.0
_RUNS_MOST: Final = 8  # each reads a file of its own; the lines that they ask at once are bounded together
_OPEN_MOST: Final = 1000
_ASIDE_S: Final = 60.0  # after a fault of ours: a full disk
_DRAIN_S: Final = 10.0


class TooMany(Exception):
    """More batches are open than anybody means to have."""


class NotOpen(Exception):
    """There is nothing left to cancel."""


class Desk:
    """`app` is the gateway itself. Opened before anything is served; raises StoreFault and OSError then."""

    def __init__(
        self,
        directory: Path,
        app: ASGIApp,
        limits: BatchLimits,
        line_bytes_max: int,
        secret: bytes,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.shelf = Shelf(directory)
        self.register = Register.open(directory / "register.sqlite")
        self.shelf.tidy(self.register.file_names(), {batch.id for batch in self.register.open_batches()})
        self.clock = clock
        self._monotonic = monotonic
        self._keys = Keys(secret)
        self._turn = threading.Lock()  # of keys and open batches together
        seats = anyio.Semaphore(limits.concurrency)
        self._means = Means(
            app, self.register, self.shelf, limits, line_bytes_max, seats, clock, monotonic, self.new_id
        )
        self._runs: dict[str, Run] = {}
        self._aside: dict[str, float] = {}  # until when, on the monotonic clock
        self._wake = anyio.Event()
        self._idle = anyio.Event()
        self.closing = False

    async def run(self) -> None:
        """Until it is cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    await self._look(tasks)
                except Exception:  # a full disk must not take the gateway down
                    log.exception("batches could not be looked after")
                with anyio.move_on_after(_LOOK_EVERY_S):
                    await self._wake.wait()
                self._wake = anyio.Event()

    async def drain(self) -> None:
        """Start no more; what is being asked is waited for, but not for long: a batch goes on at the next start."""
        self.closing = True
        for run in self._runs.values():
            run.stop.set()
        with anyio.move_on_after(_DRAIN_S):
            while self._runs:
                self._idle = anyio.Event()
                await self._idle.wait()

    def close(self) -> None:
        self.register.close()

    def new_id(self, prefix: str) -> str:
        return prefix + secrets.token_hex(16)

    # What the endpoints ask for. Blocking, but for `wake`.

    def seen(self, tenant: str, fields: headers.Raw) -> bool:
        """Somebody called who may have batches that wait for the key. Whether there are any."""
        if self._keys.of(tenant) is not None:
            return False
        with self._turn:
            return self.register.has_open(tenant) and self._keys.learn(tenant, fields)

    def keep(self, writing: Writing, file: File) -> None:
        """A new file, on disk and in the list, or in neither. Raises OSError and sqlite3.Error."""
        writing.keep(file.id)
        try:
            self.register.add(file)
        except BaseException:
            self.shelf.drop(file.id)
            raise

    def take(self, batch: Batch, fields: headers.Raw) -> None:
        """A new batch. Raises TooMany."""
        with self._turn:
            if len(self.register.open_batches()) >= _OPEN_MOST:
                raise TooMany(f"{_OPEN_MOST} batches are open: wait until some are over, or cancel some")
            self._keys.learn(batch.tenant, fields)
            self.register.add(batch)

    def cancel(self, name: str) -> Batch:
        """Raises NotOpen."""

        def cancelling(batch: Batch) -> Batch:
            match batch.status:
                case Status.VALIDATING | Status.IN_PROGRESS:
                    return batch.moved(Status.CANCELLING, self.clock())
                case Status.CANCELLING | Status.CANCELLED:
                    return batch
                case _:
                    raise NotOpen(f"the batch is {batch.status}, and cannot be cancelled any more")

        return self.register.change(name, cancelling)

    def wake(self, stopped: str | None = None) -> None:
        """There is something to be done; `stopped` is a batch that is to stop."""
        if stopped in self._runs:
            self._runs[stopped].stop.set()
        self._wake.set()

    def counts(self, batch: Batch) -> Counts:
        """Those of this moment."""
        run = self._runs.get(batch.id)
        return run.counts if run is not None and batch.status.is_open else batch.counts

    def report(self) -> dict[str, Any]:
        """For /cache/stats. Blocking."""
        opened = self.register.open_batches()
        running = [run.counts for run in list(self._runs.values())]
        return {
            "by_status": dict(self.register.by_status()),
            "waiting_for_key": sum(self._keys.of(batch.tenant) is None for batch in opened),
            "lines": {
                "total": sum(batch.counts.total for batch in opened),
                "completed": sum(counts.completed for counts in running),
                "failed": sum(counts.failed for counts in running),
            },
            "file_bytes": self.shelf.used,
        }

    async def _look(self, tasks: anyio.abc.TaskGroup) -> None:
        await anyio.to_thread.run_sync(self._clear)
        opened = await anyio.to_thread.run_sync(self._opened)
        while not self.closing and len(self._runs) < _RUNS_MOST:
            busy = Counter(run.batch.tenant for run in self._runs.values())
            ready = [batch for batch in opened if self._is_ready(batch)]
            if not ready:
                return
            batch = min(ready, key=lambda one: busy[one.tenant])  # of one tenant's, the oldest
            run = self._runs[batch.id] = Run(self._means, batch, self._keys.of(batch.tenant))
            tasks.start_soon(self._work, run)

    def _opened(self) -> list[Batch]:
        with self._turn:  # no key is forgotten whose batch is just being taken
            opened = self.register.open_batches()
            self._keys.keep_only({batch.tenant for batch in opened})
        return opened

    def _is_ready(self, batch: Batch) -> bool:
        if batch.id in self._runs or self._aside.get(batch.id, 0.0) > self._monotonic():
            return False
        waits = batch.status is Status.IN_PROGRESS and self._keys.of(batch.tenant) is None
        return not waits or self.clock() >= batch.expires_s

    async def _work(self, run: Run) -> None:
        try:
            await run()
        except Exception:
            log.exception("batch %s could not go on; it is tried again", run.batch.id)
            self._aside[run.batch.id] = self._monotonic() + _ASIDE_S
        finally:
            del self._runs[run.batch.id]
            self._idle.set()
            self._wake.set()

    def _clear(self) -> None:
        """What has had its time: first out of the list, then off the disk."""
        due = self.register.due(self.clock())
        if due:
            self.register.forget(due)
            for name in due:
                self.shelf.drop(name)

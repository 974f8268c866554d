"""A full disk, and one that takes no writes at all: every request is answered, and the store is sound afterwards.

The full one is a small tmpfs, mounted for the purpose, which needs the right to mount. A disk that Linux turned
read-only under a running process cannot be had on purpose; here every write that makes a file longer fails.
"""

import asyncio
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from benchmarks.chaos.client import ask, judge
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.storm import opened
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import Ask, World
from cache.stores.embedded import EmbeddedStore

_FAULTS = "lookalike_unstored_total", '"store-fault"'
_DISK_BYTES = 6 * 2**20


@dataclass
class Report:
    what: str
    asked: int = 0
    answered: int = 0
    hits: int = 0
    illegal: list[str] = field(default_factory=list)
    faults: int = 0  # answers that could not be stored
    wrong: list[str] = field(default_factory=list)  # with the store, afterwards

    @property
    def is_sound(self) -> bool:
        return not self.illegal and not self.wrong


async def full(world: World, upstream: Upstream, url: str, folder: Path, requests: int) -> Report:
    """The store's disk is filled while requests come; then room is made again."""
    filler = folder / "store" / "filler"
    with small_disk(folder), Gateway(url, folder) as gateway:
        report = Report("full disk")
        return await _through(
            report, gateway, world, upstream, folder, requests // 3, lambda: _fill(filler), filler.unlink
        )


async def unwritable(world: World, upstream: Upstream, url: str, folder: Path, requests: int) -> Report:
    """No write goes through any more, under a running gateway; then they do again."""
    with Gateway(url, folder) as gateway:
        report = Report("disk without writes")
        limit = partial(resource.prlimit, gateway.pid, resource.RLIMIT_FSIZE)
        before = limit()
        stop = partial(limit, (0, resource.RLIM_INFINITY))
        return await _through(report, gateway, world, upstream, folder, requests // 3, stop, partial(limit, before))


async def _through(
    report: Report,
    gateway: Gateway,
    world: World,
    upstream: Upstream,
    folder: Path,
    each: int,
    begin: Callable[[], object],
    end: Callable[[], object],
) -> Report:
    """As many requests before the trouble, in it, and after it."""
    asks, failed = _plain(world), []
    for change in (None, begin, end):
        if change is not None:
            change()
        await _asked(islice(asks, each), world, upstream, gateway, report)
        await gateway.counted(report.asked)
        failed.append(gateway.metric(*_FAULTS))
    before, meanwhile, report.faults = failed
    if meanwhile == before:
        report.wrong.append("everything could be stored in the midst of it")
    if report.faults > meanwhile:
        report.wrong.append("answers are not stored although it is over")
    report.wrong += gateway.wrong()
    gateway.stop()
    report.wrong += await _checked(folder)
    return report


async def _asked(asks: Iterator[Ask], world: World, upstream: Upstream, gateway: Gateway, report: Report) -> None:
    async with opened(4) as client:

        async def one_after_another() -> None:
            for one in asks:
                report.asked += 1
                came = await ask(client, gateway.url, world, one)
                verdict = judge(one, came, upstream)
                report.answered += came.ended and came.status == 200
                report.hits += came.hit
                if not verdict.is_legal:
                    report.illegal.append(f"{verdict}: {one} {came.status} {came.error}")

        async with asyncio.TaskGroup() as crowd:
            for _ in range(4):
                crowd.create_task(one_after_another())


def _plain(world: World) -> Iterator[Ask]:
    return (one for one in world.asks(10**9) if one.leaves_after_s is None)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    place = folder / "store"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:  # now it is full
            return


async def _checked(folder: Path) -> list[str]:
    store = await asyncio.to_thread(EmbeddedStore.open, folder / "store", time.time, 2**40)
    try:
        return await store.check()
    finally:
        await store.close()

"""`lookalike warm` and `lookalike batch` from what is wanted to an exit status: what is open when, and who stops it."""

import json
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import anyio
import anyio.to_thread
import httpx
from rich.console import Console
from rich.markup import escape

from gateway.bulk.ask import Stopped
from gateway.bulk.items import BadInput, GaveUp
from gateway.bulk.journal import Journal
from gateway.make import wall_clock
from gateway.question import Object
from gateway.warm.display import Display, show_dry, show_run
from gateway.warm.estimate import Assumed
from gateway.warm.forecast import forecast
from gateway.warm.job import Clocks, Job, Survey, Wanted
from gateway.warm.target import client, look_over, of_our_own, when_ready

DONE, SOME_FAILED, BAD_INPUT, GAVE_UP, STOPPED = 0, 1, 2, 3, 130
# Fewer than these are compared sooner by asking one after the other.
_WORTH_COMPARING: Final = 2


@dataclass(frozen=True, slots=True)
class How:
    """What is to be done with what is wanted."""

    dry: bool = False
    alike: bool = True  # find near-duplicates in the input first
    as_json: bool = False
    assumed: Assumed = field(default_factory=Assumed)


def run(wanted: Wanted, how: How, out: Console, err: Console) -> int:
    """The exit status: 0 everything has its answer (of `warm`: in the cache), 1 some failed, 2 the input or the gateway
    cannot work and nothing was asked, 3 it was no use to go on, 130 stopped."""
    clocks = Clocks(perf_counter, wall_clock, random.Random())
    try:
        return anyio.run(_run, wanted, how, clocks, out, err)
    except BadInput as error:
        err.print(f"[red]{escape(str(error))}[/]", highlight=False)
        return BAD_INPUT
    except KeyboardInterrupt:  # before anybody listened for it
        return STOPPED


async def _run(wanted: Wanted, how: How, clocks: Clocks, out: Console, err: Console) -> int:
    if wanted.out is not None and wanted.out.exists() and not wanted.journal.exists() and not how.dry:
        raise BadInput(
            f"--out {wanted.out} is there already, and was not begun by this command (there is no {wanted.journal}): "
            "give another --out, or move that file away"
        )
    made = not wanted.journal.exists()
    journal = Journal.open(wanted.journal, _about(wanted), fleeting=how.dry)
    bad: BadInput | None = None
    status = STOPPED
    try:
        stop = anyio.Event()
        with Display(err) as display:
            job = Job(wanted, journal, display, stop, clocks)
            async with _stopped_by_signals(stop, display):
                try:
                    status = await _stages(job, how, out)
                except BadInput as error:  # a task group would hide it in a group
                    bad = error
        if bad is not None:
            if made and not how.dry:
                journal.remove()  # nothing was asked: the corrected command is another run
            raise bad
        if status == DONE and wanted.out is None and not how.dry:
            journal.remove()  # nothing is left to resume; a cache that forgets may be warmed again
        return status
    finally:
        journal.close()


async def _stages(job: Job, how: How, out: Console) -> int:
    """Raises BadInput."""
    survey: Survey | None = None
    status = DONE
    try:
        survey = await job.survey()
        if how.dry:
            await _foretell(job, survey, how, out)
            return DONE
        warms = job.wanted.out is None
        if survey.open or warms:
            async with _gateway(job) as asking:
                if how.alike and survey.open >= _WORTH_COMPARING and not job.journal.compared:
                    await job.find_alike(lambda: job.open_items(), survey.open)
                    job.journal.keep_compared()
                await job.ask_all(asking)
                if warms:
                    await job.check_kept(asking)
        if job.stop.is_set() and job.tally.done < job.tally.total:
            status = STOPPED
    except Stopped:
        status = STOPPED
    except GaveUp as error:
        job.display.say(f"[red]{escape(str(error))}[/]")
        status = GAVE_UP
    if survey is None or how.dry:
        return status
    job.display.step("writing what came")
    failed = await anyio.to_thread.run_sync(job.write_files, survey)
    _tell(job, survey, status, failed, how, out)
    return status or (SOME_FAILED if failed else DONE)


@asynccontextmanager
async def _gateway(job: Job) -> AsyncIterator[httpx.AsyncClient]:
    wanted = job.wanted
    job.display.step("waiting for the gateway")
    if wanted.url is not None:
        async with client(wanted.url, wanted.timeout_s) as asking:
            _look_over(job, await when_ready(asking, job.wait))
            yield asking
        return
    async with of_our_own(wanted.settings, job.wait) as own:
        _look_over(job, own.health)
        async with client(own.url, wanted.timeout_s) as asking:
            yield asking


def _look_over(job: Job, health: Object) -> None:
    if note := look_over(health, warms=job.wanted.out is None):
        job.display.say(f"[yellow]{escape(note)}[/]")


async def _foretell(job: Job, survey: Survey, how: How, out: Console) -> None:
    wanted = job.wanted
    there = wanted.url is not None or wanted.settings.cache_dir.is_dir()
    if there and survey.open:
        async with _gateway(job) as asking:
            made = await forecast(job, survey, asking, how.alike, how.assumed)
    else:
        made = await forecast(job, survey, None, how.alike, how.assumed)
    job.display.end()
    took_s = made.estimate.seconds(wanted.concurrency, wanted.rate)
    if how.as_json:
        out.print_json(json.dumps(made.report(took_s)))
    else:
        show_dry(made.rows(), made.estimate, took_s, out)


def _tell(job: Job, survey: Survey, status: int, failed: bool, how: How, out: Console) -> None:
    wanted, tally = job.wanted, job.tally
    job.display.end()
    if how.as_json:
        out.print_json(
            json.dumps({**tally.report(), "bad_lines": survey.bad_count, "exit_status": status or int(failed)})
        )
    else:
        show_run(tally, out)
    say, left = job.display.say, tally.total - tally.done
    if unused := wanted.source.rules.unused:
        say(f"[yellow]not used: {escape(', '.join(sorted(unused)))}[/]")
    if wanted.out is not None:
        say(f"written: {escape(str(wanted.out))}")
    if failed and job.journal.failures():
        what = "what failed or was not kept" if tally.unkept else "failed questions"
        say(f"{what}, to be given as an input again: {escape(str(wanted.failures))}")
    if status in (STOPPED, GAVE_UP):
        say(f"{left:,} are left; the same command goes on where this one ended")


@asynccontextmanager
async def _stopped_by_signals(stop: anyio.Event, display: Display) -> AsyncIterator[None]:
    """The first Ctrl-C (or SIGTERM) lets what is in flight end; the second leaves it."""
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    if stop.is_set():
                        tasks.cancel_scope.cancel()
                        return
                    display.say("stopping: what is in flight is waited for (Ctrl-C again: not even that)")
                    stop.set()

        tasks.start_soon(listen)
        yield
        tasks.cancel_scope.cancel()


def _about(wanted: Wanted) -> dict[str, str]:
    """What must not change between a run and its resumption. A file of answers is of one input; a cache may be warmed
    with the failures of before."""
    settings = wanted.settings
    where = wanted.url.rstrip("/").removesuffix("/v1") if wanted.url else f"{settings.upstream} in {settings.cache_dir}"
    if wanted.out is None:
        return {"command": "warm", "target": where}
    return {"command": "batch", "target": where, "input": " ".join(map(os.path.abspath, wanted.source.names))}

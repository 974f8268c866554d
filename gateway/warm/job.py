"""One run of either command, stage by stage: check the input, find what is alike, ask, write what came.

    read all of it ──► rehearse ──► ask the distinct ones ──► ask those that are alike ──► check ──► answers, failures
       (no call)      (no call)                        engine.py                        (no call)

Each stage passes over the input anew. A stage that is told to stop leaves the rest to the next run.
"""

import functools
import random
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import httpx

from gateway.batchlines import BadLine
from gateway.bulk.ask import Asker, Pacer, wait_unless
from gateway.bulk.engine import Ask, Engine, Marked, too_many
from gateway.bulk.items import Answer, BadInput, Failure, Item, Recipe, Result
from gateway.bulk.journal import Journal, State
from gateway.config import Settings
from gateway.question import Bypass
from gateway.warm import answers
from gateway.warm.answers import OutForm
from gateway.warm.compose import Shape, compose, data_url
from gateway.warm.display import Display
from gateway.warm.kept import Check
from gateway.warm.rehearse import Rehearsed, rehearse
from gateway.warm.rows import is_local
from gateway.warm.sources import Source
from gateway.warm.tally import Tally
from gateway.warm.target import settle

Clock = Callable[[], float]

_BAD_SHOWN: Final = 20
_READ_TOLD_EVERY: Final = 500
# As many answers as this and none of them kept: to warm a cache like that is to pay for nothing.
_PASSED_MOST: Final = 10
# A journal's note: how many answers the gateway had not stored when the last of ours were found to be there.
_UNSTORED: Final = "unstored"
# What is alike needs the embedder and the guard, and a gateway that is kept waiting for them asks the model instead.
_ALIKE_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What both commands are told. `url` is the gateway's; None: one of our own over the settings' store."""

    source: Source
    settings: Settings
    journal: Path
    failures: Path
    url: str | None = None
    out: Path | None = None  # of `batch` alone
    out_form: OutForm = OutForm.ROWS
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # the key is among them
    concurrency: int = 10
    rate: float | None = None
    retries: int = 5
    timeout_s: float = 600.0
    skip_bad: bool = False

    @property
    def shape(self) -> Shape:
        return self.source.shape


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time, as it is injected."""

    monotonic: Clock
    clock: Clock
    chance: random.Random


@dataclass(slots=True)
class Survey:
    """An input, read once."""

    items: int = 0
    answered: int = 0  # before this run
    bad: list[BadLine] = field(default_factory=list)  # the first ones
    bad_count: int = 0

    @property
    def open(self) -> int:
        return self.items - self.answered


class Job:
    """The stages of one run over one journal."""

    def __init__(self, wanted: Wanted, journal: Journal, display: Display, stop: anyio.Event, clocks: Clocks) -> None:
        self.wanted = wanted
        self.journal = journal
        self.display = display
        self.stop = stop
        self.clocks = clocks
        self.tally = Tally(wanted.settings.price)
        self.wait = functools.partial(wait_unless, stop)
        self._how = wanted.shape.digest()

    async def survey(self) -> Survey:
        """Read everything and ask nothing. Raises Stopped, and BadInput where the input cannot be used as it is."""
        self.display.step("reading the input")
        survey = await anyio.to_thread.run_sync(self._survey)
        await self.wait(0)
        if survey.bad and not self.wanted.skip_bad:
            shown = "\n".join(f"  {bad}" for bad in survey.bad)
            more = f"\n  and {survey.bad_count - len(survey.bad):,} more" if survey.bad_count > len(survey.bad) else ""
            raise BadInput(
                f"{survey.bad_count:,} of the input's lines cannot be used, and nothing was asked:\n{shown}{more}\n"
                "Mend them, or leave them out with --skip-bad."
            )
        if not survey.items and not survey.bad:
            raise BadInput(self.wanted.source.nothing())
        self.tally.total, self.tally.before = survey.items, survey.answered
        self.tally.later = self.journal.count_put_off()
        return survey

    def _survey(self) -> Survey:
        survey = Survey()
        for read in self.wanted.source.read(self.journal):
            if self.stop.is_set():
                break
            if isinstance(read, BadLine):
                survey.bad_count += 1
                survey.bad.extend([read] if len(survey.bad) < _BAD_SHOWN else [])
                continue
            survey.items += 1
            survey.answered += not self._is_open(read, read.mark(self._how))
            if survey.items % _READ_TOLD_EVERY == 0:
                self.display.reading(survey.items)
        return survey

    def _is_open(self, item: Item, mark: bytes) -> bool:
        """Whether it is to be asked. Raises BadInput where a file of answers would have two for one id."""
        state = self.journal.state(item, mark)
        if state is State.ANOTHER and self.wanted.out is not None:
            raise BadInput(
                f"line {item.line}: {item.id!r} has a result in {self.journal.path}, to another question (another "
                "picture, prompt, model or template): give another --out, or delete that journal to begin anew"
            )
        return state is not State.ANSWERED

    def open_items(self, later: bool | None = None) -> Iterator[Marked]:
        """Those to be asked; `later`: only those that are put off, or only those that are not. Blocking."""
        for read in self.wanted.source.read(self.journal):
            if self.stop.is_set():
                return
            if isinstance(read, Item) and (later is None or self.journal.is_put_off(read) is later):
                mark = read.mark(self._how)
                if self._is_open(read, mark):
                    yield read, mark

    async def composed(self, item: Item) -> tuple[str, bytes] | Failure:
        """Path and body of an item's request; a failure if its picture cannot be read."""
        return await anyio.to_thread.run_sync(self._composed, item)

    def _composed(self, item: Item) -> tuple[str, bytes] | Failure:
        try:
            pictures = item.asks.pictures if isinstance(item.asks, Recipe) else ()
            return compose(item.asks, [data_url(one) if is_local(one) else one for one in pictures], self.wanted.shape)
        except OSError as error:
            return Failure("picture-unreadable", f"{error.filename}: {error.strerror or error}")

    async def find_alike(self, items: Callable[[], Iterator[Marked]], count: int) -> Rehearsed:
        """Put off whatever looks like an item before it."""
        self.display.step("comparing the pictures with each other", count)
        found = await rehearse(
            self.wanted.settings, items(), self.composed, self.wait, self.journal.put_off, self.display.rehearsed
        )
        self.tally.later = self.journal.count_put_off()
        return found

    async def ask_all(self, asking: httpx.AsyncClient) -> None:
        """Ask what is open, the distinct ones first. Raises GaveUp."""
        ask = self.asker(asking)
        if self.wanted.out is None and self.journal.noted(_UNSTORED) is None:
            self._note_unstored(await settle(asking, self.clocks.monotonic))

        async def one(item: Item) -> Result:
            composed = await self.composed(item)
            return composed if isinstance(composed, Failure) else await ask(*composed)

        at_once = self.wanted.concurrency
        self.display.step("asking", self.tally.total)
        await self._engine(one, at_once).run(self.open_items(later=False))
        if self.tally.later and not self.stop.is_set():
            await settle(asking, self.clocks.monotonic)
            self.display.step("asking what is alike", self.tally.total)
            await self._engine(one, min(at_once, _ALIKE_AT_ONCE)).run(self.open_items(later=True))

    async def check_kept(self, asking: httpx.AsyncClient) -> None:
        """What was answered and is not in the cache becomes a failure: nobody who asks later is served. Raises
        Stopped, GaveUp."""
        await self.wait(0)
        unstored = await settle(asking, self.clocks.monotonic)
        # Where the gateway has since stored whatever anybody was answered, the misses need no look.
        all_stored = unstored is not None and self.journal.noted(_UNSTORED) == str(unstored)
        check = Check(self.asker(asking), self.composed, self.wanted.settings.pixels_max)
        self.display.step("checking that the cache has it")

        async def one(item: Item) -> Result:
            answer = await anyio.to_thread.run_sync(self.journal.result, item)
            assert isinstance(answer, Answer)
            return await check(item, answer)

        engine = Engine(self.journal, self.wanted.concurrency, one, self._count_checked, self.stop)
        await engine.run(self._answered(("bypass",) if all_stored else ("bypass", "miss")))
        await self.wait(0)
        self._note_unstored(unstored)

    def _note_unstored(self, count: int | None) -> None:
        if count is not None:
            self.journal.note(_UNSTORED, str(count))

    def _answered(self, caches: Container[str]) -> Iterator[Marked]:
        """Those whose answers came so. Blocking."""
        for read in self.wanted.source.read(self.journal):
            if self.stop.is_set():
                return
            if isinstance(read, BadLine):
                continue
            answer = self.journal.result(read)
            if isinstance(answer, Answer) and answer.cache in caches:
                yield read, read.mark(self._how)

    def _count_checked(self, result: Result) -> str | None:
        self.tally.checked(result)
        self.display.reading(self.tally.looked_up)
        return None

    def _engine(self, ask: Ask, concurrency: int) -> Engine:
        return Engine(self.journal, concurrency, ask, self._count, self.stop)

    def asker(self, asking: httpx.AsyncClient) -> Asker:
        """Asks with this run's key, pace and patience."""
        clocks, wanted = self.clocks, self.wanted
        pacer = Pacer(wanted.rate, clocks.monotonic, self.wait)
        headers = tuple(wanted.headers.items())
        return Asker(asking, pacer, wanted.retries, clocks.monotonic, clocks.clock, self.wait, clocks.chance, headers)

    def _count(self, result: Result) -> str | None:
        now_s, tally = self.clocks.monotonic(), self.tally
        tally.add(result, now_s)
        self.display.asked(tally, now_s)
        if isinstance(result, Failure):
            return too_many(tally.failed_in_a_row, self.wanted.concurrency, f"{result.code}: {result.message}")
        if (
            self.wanted.out is None and result.reason == Bypass.SHADOW
        ):  # it did not tell of it before: its health is guarded
            return 'the gateway is in shadow mode and asks the model whatever it has: warm it once its mode is "near"'
        kept = sum(tally.hits.values()) + sum(tally.misses.values()) + tally.before
        if self.wanted.out is None and not kept and tally.passed_in_a_row >= _PASSED_MOST:
            return f"nothing is kept of what is asked: the gateway says {result.reason} (docs/reasons.md)"
        return None

    def write_files(self, survey: Survey) -> bool:
        """The answers, and the failures as an input. Whether there are failures. Blocking."""
        wanted = self.wanted
        if wanted.out is not None:
            answers.write(wanted.out, answers.lines(wanted.out_form, self._results(), wanted.shape.path))
        if self.journal.failures():
            answers.write(wanted.failures, self._failed())
            return True
        if str(wanted.failures) not in wanted.source.names:
            wanted.failures.unlink(missing_ok=True)  # an earlier run's, and all of them are answered by now
        return survey.bad_count > 0

    def _results(self) -> Iterator[answers.Row]:
        for read in self.wanted.source.read(self.journal):
            if isinstance(read, BadLine):
                yield read, Failure("bad-line", str(read))
            elif (result := self.journal.result(read)) is not None:
                yield read, result

    def _failed(self) -> Iterator[bytes]:
        for read in self.wanted.source.read(self.journal):
            if isinstance(read, Item) and isinstance(result := self.journal.result(read), Failure):
                yield answers.failed_line(read, result)

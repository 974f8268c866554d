"""The ledger: every outcome counted in buckets of time, by name. What `/cache/stats` shows comes from here.

    count()    the event loop; notes the outcome, and no more
    write()    a worker thread, every few seconds; outcomes are tallied and go to the book in one transaction
    report()   a worker thread; writes first, so that what was counted is in it

How many names there can be is bounded: what clients choose is believed only once the upstream answered it.
"""

import logging
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio.to_thread

from gateway import figures
from gateway.book import DAY_S, EVER, HOUR_S, MINUTE_S, Book, Damaged, Key
from gateway.histogram import RELATIVE_ERROR
from gateway.names import By, Names, Window
from gateway.outcome import Outcome
from gateway.tally import STAGES_BY, Tally, names, tagged, tally, without_stages

log = logging.getLogger("lookalike")

T = TypeVar("T")
Clock = Callable[[], float]

LEDGER_FILE = "ledger.sqlite"
NAMES_MOST: Final = 200
_CHOSEN_BY_CLIENTS = (By.MODEL, By.TENANT)
# Tallies that may wait for a disk that takes none: a day of minutes with a few names each.
_WAITING_MOST = 50_000
# Outcomes that may wait for a thread to count them: minutes of a busy gateway, while a disk hangs.
_NOTED_MOST = 100_000


class LedgerFault(Exception):
    """The disk does not give what is on it. Counting goes on."""


@dataclass(frozen=True, slots=True)
class _Ruler:
    """Of which buckets a window is made, in a report and in a series. Seconds."""

    length_s: int
    span_s: int
    step_s: int
    step_span_s: int


_RULERS = {
    Window.HOUR: _Ruler(HOUR_S, MINUTE_S, MINUTE_S, MINUTE_S),
    Window.DAY: _Ruler(DAY_S, HOUR_S, 10 * MINUTE_S, MINUTE_S),
    Window.WEEK: _Ruler(7 * DAY_S, HOUR_S, HOUR_S, HOUR_S),
    Window.MONTH: _Ruler(30 * DAY_S, DAY_S, 6 * HOUR_S, HOUR_S),
    Window.ALL: _Ruler(0, EVER, DAY_S, DAY_S),
}


@dataclass(frozen=True, slots=True)
class LetGo:
    """Entries that left the store on their own."""

    time_s: float
    evicted: int
    expired: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """Tags of an answer that was counted before they were known."""

    time_s: float
    tags: tuple[str, ...]


_Noted = Outcome | LetGo | Tagged


class Ledger:
    """`file` None: in memory only. `count` may be called from any thread, and so may the rest, which blocks."""

    def __init__(self, file: Path | None, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._book = Book.open(file)
        self._noting = threading.Lock()  # guards the next line; held for moments only
        self._noted: list[_Noted] = []
        self._using = threading.Lock()  # guards everything below, and the book
        self._waiting: defaultdict[Key, Tally] = defaultdict(Counter)
        self._failing = False
        self._names = {by: Names(NAMES_MOST, self._book.names(by)) for by in _CHOSEN_BY_CLIENTS}

    def count(self, outcome: Outcome) -> None:
        """Returns at once: a request's way is no place to count."""
        self._note(outcome)

    def let_go(self, evicted: int, expired: int) -> None:
        """So many entries left the store on their own. Returns at once, too."""
        if evicted or expired:
            self._note(LetGo(self._clock(), evicted, expired))

    def tagged(self, tags: tuple[str, ...]) -> None:
        """These tags, late. Returns at once, too."""
        if tags:
            self._note(Tagged(self._clock(), tags))

    def write(self) -> None:
        """What cannot be written waits for the next time. Blocking, as what follows."""
        with self._using:
            self._write()

    async def report(self, window: Window = Window.ALL, by: By | None = None) -> dict[str, Any]:
        """The figures of docs/stats.md, with `window` and `shadow`; and `groups`, where they are wanted."""
        return await anyio.to_thread.run_sync(self.report_now, window, by)

    async def series(self, window: Window) -> dict[str, Any]:
        """The figures over time, one by one."""
        return await anyio.to_thread.run_sync(self.series_now, window)

    def report_now(self, window: Window = Window.ALL, by: By | None = None) -> dict[str, Any]:
        """`report`, in this thread."""
        ruler, now_s = _RULERS[window], self._clock()
        since = _floor(now_s, ruler.span_s) - ruler.length_s if ruler.span_s else 0

        def read(book: Book) -> tuple[dict[str, Tally], dict[str, Tally], int | None]:
            groups = book.total(ruler.span_s, since, by.value) if by else {}
            return book.total(ruler.span_s, since), groups, since or book.first_s()

        whole, groups, begun = self._read(read)
        report = {"window": _window(window, begun, now_s)} | _figures(whole.get("", Counter()))
        if by:
            ordered = sorted(groups.items(), key=lambda item: (-item[1]["requests"], item[0]))
            values = [{"name": name} | _figures(counts) for name, counts in ordered]
            report["groups"] = {"by": by.value, "values": values}
        return report

    def series_now(self, window: Window) -> dict[str, Any]:
        """`series`, in this thread."""
        ruler, now_s = _RULERS[window], self._clock()
        last = _floor(now_s, ruler.step_s)
        since = last - ruler.length_s if ruler.length_s else 0
        found = self._read(lambda book: book.steps(ruler.step_span_s, since))
        first = since or min((_floor(start, ruler.step_s) for start, _ in found), default=last)
        steps: dict[int, Tally] = {start: Counter() for start in range(first, last + 1, ruler.step_s)}
        for start, counts in found:
            steps.setdefault(_floor(start, ruler.step_s), Counter()).update(counts)
        return {
            "window": _window(window, first if found or since else None, now_s),
            "step_s": ruler.step_s,
            "relative_error": RELATIVE_ERROR,
            "buckets": [{"start": start} | figures.step(counts) for start, counts in sorted(steps.items())],
        }

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        with self._using:
            self._write()
            self._book.close()

    def _read(self, read: Callable[[Book], T]) -> T:
        """What `read` finds, once what waits is written; in a new book if this one is damaged. Raises LedgerFault."""
        with self._using:
            self._write()
            try:
                return read(self._book)
            except Damaged as damage:
                self._begin_anew(damage)
                return read(self._book)
            except sqlite3.Error as error:
                raise LedgerFault(f"the ledger cannot be read: {error}") from error

    def _write(self) -> None:
        """The book's lock is held."""
        with self._noting:
            noted, self._noted = self._noted, []
        for one in noted:
            try:
                self._tally(one)
            except Exception:  # one that cannot be counted must not keep the others from it
                log.exception("an outcome could not be counted")
        if not self._waiting:
            return
        try:
            self._add()
            self._waiting.clear()
            self._failing = False
        except (Damaged, sqlite3.Error) as error:
            if not self._failing:
                log.warning("the ledger cannot be written: %s; its counts wait in memory", error)
            self._failing = True

    def _note(self, one: _Noted) -> None:
        with self._noting:
            if len(self._noted) < _NOTED_MOST:
                self._noted.append(one)

    def _tally(self, one: _Noted) -> None:
        match one:
            case LetGo(time_s, evicted, expired):
                key = Key(_floor(time_s, MINUTE_S), "", "")
                self._wait(key, Counter(evicted=evicted, expired=expired))
            case Tagged(time_s, tags):
                self._wait(Key(_floor(time_s, MINUTE_S), "", ""), tagged(tags))
            case Outcome():
                self._tally_outcome(one)

    def _tally_outcome(self, outcome: Outcome) -> None:
        whole, minute = tally(outcome), _floor(outcome.ended_s, MINUTE_S)
        lean = without_stages(whole)
        self._wait(Key(minute, "", ""), whole)
        for by, name in names(outcome):
            chosen = self._names.get(by)
            known = chosen.of(name, outcome.answered) if chosen else name
            self._wait(Key(minute, by.value, known), whole if by in STAGES_BY else lean)

    def _wait(self, key: Key, counts: Tally) -> None:
        if key in self._waiting or len(self._waiting) < _WAITING_MOST:
            self._waiting[key].update(counts)

    def _add(self) -> None:
        try:
            self._book.add(self._waiting, self._clock())
        except Damaged as damage:
            self._begin_anew(damage)
            self._book.add(self._waiting, self._clock())

    def _begin_anew(self, damage: Damaged) -> None:
        self._book.close()
        self._book = Book.instead(self._file, damage)


def _figures(counts: Tally) -> dict[str, Any]:
    return figures.figures(counts) | {"shadow": figures.shadow(counts)}


def _window(window: Window, begun: int | None, now_s: float) -> dict[str, Any]:
    return {"name": window.value, "from": begun, "until": int(now_s)}


def _floor(time_s: float, span_s: int) -> int:
    return int(time_s // span_s) * span_s

"""A run as people see it: one live line, a table at its end. Where there is no terminal, a plain line now and then."""

from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from gateway.warm.estimate import Estimate
from gateway.warm.rehearse import Rehearsed
from gateway.warm.tally import Tally, money

_PLAIN_EVERY_S: Final = 10.0


class Display:
    """What is being done, how far, and how long it will take."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Count(),
            TextColumn("{task.fields[told]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=not self._live, expand=False)
        self._task = self._progress.add_task("", total=None, told="", start=False)
        self._said_s: float | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Take the live line away: what is printed next stands alone."""
        self._progress.stop()

    def step(self, what: str, total: int | None = None) -> None:
        """Another thing is being done."""
        self._progress.update(self._task, description=what, total=total, completed=0, told="")
        if not self._live:
            self._console.print(escape(what), highlight=False)

    def reading(self, read: int) -> None:
        self._progress.update(self._task, completed=read)

    def rehearsed(self, so_far: Rehearsed) -> None:
        alike, passed = sum(so_far.alike.values()), sum(so_far.passed.values())
        done = so_far.new + alike + passed + so_far.not_compared
        self._progress.update(self._task, completed=done, told=f"{so_far.new:,} distinct, {alike:,} alike")

    def asked(self, tally: Tally, now_s: float) -> None:
        """`now_s` is on the monotonic clock."""
        self._progress.update(self._task, total=tally.total, completed=tally.done, told=told(tally))
        if self._said_s is None:
            self._said_s = now_s
        if not self._live and now_s - self._said_s >= _PLAIN_EVERY_S:
            self._said_s = now_s
            self._console.print(f"{tally.done:,} of {tally.total:,}: {told(tally)}", markup=False, highlight=False)

    def say(self, words: str) -> None:
        self._console.print(words, highlight=False)


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        total = f" of {int(task.total):,}" if task.total else ""
        return Text(f"{int(task.completed):,}{total}")


def told(tally: Tally) -> str:
    """Everything about a run in one line."""
    parts = [f"hits {_sum(tally.hits):,}", f"misses {_sum(tally.misses):,}"]
    if tally.passed:
        parts.append(f"not cacheable {_sum(tally.passed):,}")
    parts.append(f"failed {_sum(tally.failed):,}")
    if (rate := tally.rate()) is not None:
        parts.append(f"{rate:,.1f}/s")
    if (left_s := tally.left_s()) is not None and left_s > 0:
        parts.append(f"ETA {clock(left_s)}")
    if tally.spent:
        parts.append(f"spent {money(tally.spent)}")
    if tally.saved:
        parts.append(f"saved {money(tally.saved)}")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def show_run(tally: Tally, console: Console) -> None:
    """What a run came to."""
    table = _table()
    table.add_row("questions", f"{tally.total:,}", "")
    if tally.before:
        table.add_row("done before", f"{tally.before:,}", "")
    table.add_row("hits", f"{_sum(tally.hits):,}", _words(tally.hits))
    table.add_row("misses, asked of the model", f"{_sum(tally.misses):,}", _words(tally.misses))
    if tally.unkept:  # those that are not cacheable are among them
        table.add_row("answered, but not kept", f"{_sum(tally.unkept):,}", _words(tally.unkept))
    elif tally.passed:
        table.add_row("answered, not cacheable", f"{_sum(tally.passed):,}", _words(tally.passed))
    table.add_row("failed", f"{_sum(tally.failed):,}", _words(tally.failed))
    if tally.later:
        table.add_row("alike, asked last", f"{tally.later:,}", "")
    _money_rows(table, tally.spent, tally.saved, tally.unpriced)
    console.print(table)


def show_dry(rows: list[tuple[str, int, str]], estimate: Estimate, took_s: float, console: Console) -> None:
    """What a run would do."""
    table = _table()
    for name, count, words in rows:
        table.add_row(name, f"{count:,}", words)
    assumed = estimate.assumed
    table.add_row("tokens in, about", f"{estimate.tokens_in:,}", "one for 32 x 32 pixels, at most 2,560 a picture")
    words = f"assumed: {assumed.tokens_out} an answer (--expect-tokens)"
    table.add_row("tokens out, about", f"{estimate.calls * assumed.tokens_out:,}", words)
    price = money(estimate.money) or ("unknown" if estimate.calls else "nothing")
    note = f"no price for {estimate.unpriced:,} of them: `prices` in the settings" if estimate.unpriced else ""
    table.add_row("cost, about", price, note)
    table.add_row("time, about", clock(took_s), f"assumed: {assumed.seconds:g} s an answer (--expect-seconds)")
    console.print(table)


def _money_rows(table: Table, spent: dict[str, float], saved: dict[str, float], unpriced: int) -> None:
    note = f"not counted, having no price: {unpriced:,} (`prices` in the settings)" if unpriced else ""
    if spent or unpriced:
        table.add_row("spent", money(spent) or "unknown", note)
    if saved:
        table.add_row("saved by hits", money(saved), "")


def _table() -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    return table


def _sum(counts: Counter[str]) -> int:
    return sum(counts.values())


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in counts.most_common())

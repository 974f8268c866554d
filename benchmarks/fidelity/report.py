"""Figures for people: tables on the screen, and pictures of the worst, side by side."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from benchmarks.fidelity.figures import ALL_CORE, Row, Share
from benchmarks.fidelity.methods import GUARD, LADDER
from benchmarks.fidelity.trials import Outcome

_BOUNDED = (GUARD, LADDER)  # methods that are good enough for a bound to say something
_CAPTION_PX = 22


def recall_table(console: Console, title: str, rows: Mapping[str, Row]) -> None:
    """Shares that should be high."""
    _print(console, title, rows, lambda method, share: f"{share.value:.3f}" if share.of else "")


def wrong_table(console: Console, title: str, rows: Mapping[str, Row]) -> None:
    """Shares that should be nothing, for the guard and the ladder as a number with its upper bound."""

    def cell(method: str, share: Share) -> str:
        if method in _BOUNDED:
            return f"{share.count} (< {_percent(share.upper)})"
        return _percent(share.value)

    _print(console, title, rows, cell)


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"


def _print(console: Console, title: str, rows: Mapping[str, Row], cell: Callable[[str, Share], str]) -> None:
    if not rows:
        return
    methods = list(next(iter(rows.values())))
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("n", justify="right")
    for method in methods:
        table.add_column(method, justify="right", no_wrap=True)
    for name, row in rows.items():
        if name == ALL_CORE or name.endswith(", all"):
            table.add_section()
        cells = [cell(method, row[method]) for method in methods]
        table.add_row(name, f"{row[methods[0]].of:,}", *cells, end_section=name == ALL_CORE)
    console.print(table)


def number_table(console: Console, title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> None:
    table = Table(title=f"{title} ({unit})", title_justify="left")
    for heading in ("", "n", "p50", "p95"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, row in rows.items():
        table.add_row(name, f"{row['n']:,}", f"{row['p50']:.1f}", f"{row['p95']:.1f}")
    console.print(table)


def doubt_table(console: Console, rows: Mapping[str, Mapping[str, int]]) -> None:
    table = Table(title="Why the guard refused copies", title_justify="left")
    table.add_column("")
    table.add_column("doubts")
    for name, counts in rows.items():
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        table.add_row(name, ", ".join(f"{count} {doubt}" for doubt, count in ordered))
    console.print(table)


def save_worst(
    folder: Path, label: str, worst: Sequence[Outcome], again: Callable[[Outcome], tuple[Image.Image, Image.Image]]
) -> None:
    """Stored and asked picture side by side; `again` makes the two once more."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, one in enumerate(worst, 1):
        stored, asked = again(one)
        sheet = Image.new(
            "RGB", (stored.width + asked.width + 8, max(stored.height, asked.height) + _CAPTION_PX), "gray"
        )
        sheet.paste(stored, (0, _CAPTION_PX))
        sheet.paste(asked, (stored.width + 8, _CAPTION_PX))
        ImageDraw.Draw(sheet).text((4, 3), caption(one), "white", ImageFont.load_default(14))
        sheet.save(folder / f"{label}-{place:02}.png")


def caption(one: Outcome) -> str:
    verdict = one.doubt or "same"
    score = "" if one.score is None else f" {one.score:.2f}"
    return f"{one.trial} {one.edit} {one.stored} / {one.asked}, {' '.join(one.way)}: {verdict}{score}"

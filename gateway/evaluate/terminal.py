"""Comparisons and evaluations on a terminal: tables, outcome lines, and a small heat map where it can be shown."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import heat
from gateway.evaluate.cases import Trial
from gateway.evaluate.compare import Comparison
from gateway.evaluate.exhibit import Name, in_words, outcome_in_words
from gateway.evaluate.measure import Measured
from gateway.evaluate.summary import Recall, Summary, points_shown

_TONES = {"good": "green", "warn": "yellow", "quiet": "dim"}
_HEAT_COLUMNS, _HEAT_ROWS = 72, 24
_LISTED_MOST = 10


def show_comparison(made: Comparison, out: Console) -> None:
    table = Table("step", "question", "value", "limit", "outcome", title_justify="left")
    for row in made.steps:
        tone = _TONES[row.tone]
        table.add_row(row.rung, escape(row.question), row.value, row.limit, f"[{tone}]{escape(row.says)}[/]")
    out.print(f"stored: {escape(made.stored)}\nasked:  {escape(made.asked)}", highlight=False)
    out.print(table)
    if _shows_pictures(out) and made.told and made.told.heat is not None and made.told.asked is not None:
        columns = min(_HEAT_COLUMNS, out.width - 1)
        out.print(heat.blocks(made.told.asked, made.told.heat, columns, _HEAT_ROWS))
    out.print(f"[bold {'green' if made.hit else 'yellow'}]{escape(made.outcome)}[/]", highlight=False)
    for line in _figures(made):
        out.print(line, highlight=False)


def _figures(made: Comparison) -> list[str]:
    lines = []
    if made.score is not None and made.margin is not None:
        side = f"{made.margin:.2f} below" if made.margin >= 0 else f"{-made.margin:.2f} above"
        lines.append(f"guard's score {made.score:.2f}, {side} the limit of {made.limits.score:g}")
    if made.spot:
        left, top, right, bottom = made.spot
        lines.append(f"where: {left:.1%} to {right:.1%} from the left, {top:.1%} to {bottom:.1%} from the top")
    return lines


def _shows_pictures(out: Console) -> bool:
    return out.is_terminal and out.color_system == "truecolor"


def show_summary(summary: Summary, measured: Measured, name: Name, out: Console) -> None:
    if measured.stopped:
        out.print(f"[yellow]{escape(measured.stopped)}: the figures are of what was measured until then[/]")
    if measured.skipped:
        out.print(f"[yellow]skipped {len(measured.skipped)} files that the gateway would not cache:[/]")
        _list(out, [f"{skipped.name}: {skipped.why}" for skipped in measured.skipped])
    if not measured.seen:
        return
    out.print(_recall_table(summary))
    if len(summary.curve) and summary.recall is not None:
        out.print(_curve_table(summary))
    _show_trials(out, "wrong hits", summary.wrong, name, "red")
    _show_trials(out, "hits between two of your own pictures: are they one picture?", summary.unjudged, name, "yellow")
    _show_trials(out, "near misses: other pictures, refused by the smallest margin", summary.near_misses, name, "dim")
    for line in verdict(summary):
        out.print(line, highlight=False)


def _recall_table(summary: Summary) -> Table:
    table = Table(title=f"Copies answered from the cache, threshold {summary.threshold:.2f}", title_justify="left")
    for heading in ("copies", "found", "recall", "missed because"):
        table.add_column(heading, justify="right" if heading in ("found", "recall") else "left")
    listed = [summary.listed] if summary.listed else []
    for recall in (*(whole for whole, _ in summary.classes), *listed):
        table.add_row(recall.name, f"{recall.found}/{recall.asked}", _share(recall), _reasons(recall))
    return table


def _share(recall: Recall) -> str:
    tone = "green" if recall.share >= 0.9 else "yellow" if recall.share >= 0.6 else "red"
    return f"[{tone}]{recall.share:.0%}[/]"


def _reasons(recall: Recall) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in recall.missed[:3])


def _curve_table(summary: Summary) -> Table:
    table = Table(title="At other thresholds", title_justify="left")
    for heading in ("cosine", "recall", "wrong hits"):
        table.add_column(heading, justify="right")
    for point in points_shown(summary.curve):
        if point.recall is not None:
            table.add_row(f"{point.threshold:.2f}", f"{point.recall:.1%}", str(point.wrong))
    return table


def _show_trials(out: Console, title: str, trials: Sequence[Trial], name: Name, tone: str) -> None:
    if trials:
        out.print(f"[{tone}]{title}: {len(trials)}[/]")
        _list(
            out,
            [f"{in_words(trial, name)}: {outcome_in_words(trial.outcome)}" for trial in trials],
        )


def _list(out: Console, lines: Sequence[str]) -> None:
    for line in lines[:_LISTED_MOST]:
        out.print(f"  {escape(line)}", highlight=False)
    if len(lines) > _LISTED_MOST:
        out.print(f"  … and {len(lines) - _LISTED_MOST} more (--report FILE.html shows them)", highlight=False)


def verdict(summary: Summary) -> list[str]:
    """The end of it, in sentences."""
    lines = []
    if summary.recall is not None:
        lines.append(
            f"[bold]Recall {summary.recall:.1%}[/] over the core classes of copies, each counted alike, "
            f"from {summary.pictures} pictures."
        )
    if summary.look_alikes:
        tone = "red" if summary.wrong else "green"
        lines.append(
            f"[bold {tone}]{summary.look_alikes_served} of {summary.look_alikes} look-alikes served[/] "
            f"(edits and pairs listed as different): with 95 % confidence at most {summary.bound:.2%} of such."
        )
    if summary.crosses:
        taken = f"{len(summary.unjudged)} {'pair' if len(summary.unjudged) == 1 else 'pairs'} taken for one"
        lines.append(
            f"{summary.crosses} pictures asked against all others: {taken}"
            + ("; list them in --pairs to have them counted." if summary.unjudged else ".")
        )
    return lines

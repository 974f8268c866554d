"""`lookalike calibrate` in a terminal, or as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from gateway.calibrate.advice import Advice, advise
from gateway.calibrate.curve import Judge, Judged, Refusals, Row, Saved, Seen, baseline, curve, groups, refusals, seen
from gateway.shadow import Kind, Observation
from gateway.shadowlog import Skipped, read_log

_GROUPS_MOST = 10
_NOTHING = "-"
_START = (
    "Start the gateway with --mode shadow in front of your upstream, let your clients use it for a while, and give "
    "the gateway's --cache-dir (or --log FILE) here."
)
_LEGEND = (
    "\nhits: of every kind, exact and pixel included; others: near hits to which the model gave another answer, of "
    "those compared; at most: that share, with 95% confidence; number: ... in a number. The rest is what the hits save."
)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the log says, under one way of judging it."""

    look: Seen
    skipped_lines: int
    own: Judged
    rows: list[Row]
    questions: list[tuple[str, Row]]
    models: list[tuple[str, Row]]
    refused: dict[str, Refusals]
    advice: Advice


@dataclass(frozen=True, slots=True)
class NoLog:
    """Why nothing can be read, and what to do. `is_none`: the file is no shadow log, and not only without a request."""

    words: str
    is_none: bool


def load(file: Path) -> tuple[list[Observation], int] | NoLog:
    """The log's requests and the number of lines that could not be read; or why there is no request."""
    skipped = Skipped()
    try:
        observations = list(read_log(file, skipped))
    except OSError as error:
        return NoLog(f"There is no shadow log to read at {file}: {error.strerror}. {_START}", is_none=True)
    if observations:
        return observations, skipped.lines
    if skipped.lines:
        words = f"{file} is no shadow log of this version: none of its {skipped.lines} lines is a request. {_START}"
        return NoLog(words, is_none=True)
    return NoLog(f"No request is in {file} yet. {_START}", is_none=False)


def examine(observations: Sequence[Observation], skipped_lines: int, judge: Judge, disagreement_max: float) -> Report:
    look = seen(observations)
    threshold = 1.0 if look.threshold is None else look.threshold
    return Report(
        look=look,
        skipped_lines=skipped_lines,
        own=baseline(look.observations, judge),
        rows=curve(look, judge),
        questions=groups(look.observations, lambda one: one.question, threshold, judge),
        models=groups(look.observations, lambda one: one.model, threshold, judge),
        refused=refusals(look.observations, threshold, judge),
        advice=advise(look, judge, disagreement_max),
    )


def as_json(report: Report) -> dict[str, Any]:
    look = report.look
    return {
        "requests": len(look.observations),
        "requests_of_other_embedders": look.other_spaces,
        "skipped_lines": report.skipped_lines,
        "embedder": look.space,
        "threshold": look.threshold,
        "would_be": dict(Counter(one.would_be.value for one in look.observations)),
        "misses": dict(Counter(one.doubt for one in look.observations if one.doubt)),
        "not_compared": dict(Counter(one.unread for one in look.observations if one.unread)),
        "model_with_itself": _judged(report.own),
        "by_threshold": [_row(row) for row in report.rows],
        "by_question": {name: _row(row) for name, row in report.questions},
        "by_model": {name: _row(row) for name, row in report.models},
        "refused": {reason: asdict(counts) for reason, counts in report.refused.items()},
        "advice": asdict(report.advice) | {"toml": report.advice.toml(look)},
    }


def show(report: Report, out: Console) -> None:
    _summary(report, out)
    if report.rows:
        out.print(_LEGEND, highlight=False)
        out.print(_rows("threshold", [(f"{row.threshold:g}", row) for row in report.rows], report))
    near = [(name, row) for name, row in report.questions if row.near]
    if len(report.questions) > 1 and near:
        out.print(_rows("question", near[:_GROUPS_MOST], report))
        if len(near) > _GROUPS_MOST:
            out.print(f"… and {len(near) - _GROUPS_MOST} more questions: --json has them all.")
    if len(report.models) > 1:
        out.print(_rows("model", report.models[:_GROUPS_MOST], report))
    if report.refused:
        out.print(_refused(report.refused))
    _advice(report, out)


def _summary(report: Report, out: Console) -> None:
    look, own = report.look, report.own
    times = [one.time_s for one in look.observations]
    kinds = Counter(one.would_be for one in look.observations)
    count = len(look.observations)
    table = Table("", "", show_header=False, title="shadow mode")
    table.add_row("requests", f"{count:,}, {_date(min(times))} to {_date(max(times))}")
    for kind in Kind:
        why = Counter(one.doubt for one in look.observations if one.would_be is kind and one.doubt)
        reasons = ", ".join(f"{reason} {number}" for reason, number in why.most_common())
        label = f"would-be {kind}" + ("" if kind is Kind.MISS else " hits")
        table.add_row(label, f"{kinds[kind]:,}  ({kinds[kind] / count:.1%})" + (f": {reasons}" if reasons else ""))
    table.add_row("the same bytes again", f"{_verdict(own)}" if own.compared else "never compared")
    if unread := Counter(one.unread for one in look.observations if one.unread):
        table.add_row("answers not compared", ", ".join(f"{why} {number}" for why, number in unread.most_common()))
    table.add_row(
        "embedder", f"{look.space}, threshold {look.threshold:g}" if look.space else "never compared pictures"
    )
    if look.other_spaces:
        table.add_row("left out", f"{look.other_spaces:,} requests under another embedder")
    if report.skipped_lines:
        table.add_row("lines skipped", f"{report.skipped_lines:,}: damaged, or of another version")
    out.print(table)


def _rows(title: str, rows: Sequence[tuple[str, Row]], report: Report) -> Table:
    in_force = report.look.threshold
    by_threshold = title == "threshold"
    table = Table(
        title=f"by {title}" + ("" if by_threshold or in_force is None else f", at threshold {in_force:g}"),
        caption="* in force now" if by_threshold else None,
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    # A name is folded, not cut: it is what one looks for in the headers.
    table.add_column(title, justify="right" if by_threshold else "left", overflow="fold")
    for name in ("hits", "of all", "near", "others", "share", "at most", "number", "seconds", "tokens", "money"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in rows:
        marked = f"{name} *" if by_threshold and row.threshold == in_force else name
        table.add_row(marked, f"{row.hits:,}", f"{row.share:.1%}", f"{row.near:,}", *_answers(row), *_saved(row.saved))
    return table


def _answers(row: Row) -> tuple[str, str, str, str]:
    judged = row.judged
    if judged.share is None:
        return (_NOTHING,) * 4
    counts = f"{judged.disagreed:,}/{judged.compared:,}"
    return counts, f"{judged.share:.1%}", f"{judged.upper:.1%}", f"{judged.numbers_disagreed:,}"


def _saved(saved: Saved) -> tuple[str, str, str]:
    money = ", ".join(f"{value:,.2f} {currency}" for currency, value in saved.money.items())
    return f"{saved.upstream_s:,.1f}", f"{saved.tokens_in + saved.tokens_out:,}", money or _NOTHING


def _refused(refused: dict[str, Refusals]) -> Table:
    table = Table(
        *("refused for", "answers agreed: a hit lost", "answers differ: a wrong hit prevented", "not compared"),
        title="pictures that were near enough, and refused",
    )
    for reason, counts in sorted(refused.items(), key=lambda item: -(item[1].agreed + item[1].disagreed)):
        table.add_row(reason, f"{counts.agreed:,}", f"{counts.disagreed:,}", f"{counts.not_compared:,}")
    return table


def _advice(report: Report, out: Console) -> None:
    advice = report.advice
    out.print(f"\n[bold]Recommended[/]\n{advice.why}", highlight=False)
    if advice.next_step:
        out.print(advice.next_step, highlight=False)
    for one in advice.outliers:
        out.print(
            f"Question {one.question} stands apart and is left out of this: {one.judged.disagreed} of "
            f"{one.judged.compared} of its near hits disagreed, {one.others.disagreed} of {one.others.compared} of all "
            "others'. Let its clients send X-Lookalike-Mode: pixel. (Each reply's X-Lookalike-Shadow header names its "
            "question.)",
            highlight=False,
        )
    out.print()
    out.print(advice.toml(report.look), highlight=False, markup=False)


def _verdict(judged: Judged) -> str:
    return f"another answer {judged.disagreed:,} of {judged.compared:,} times, at most {judged.upper:.1%} (95%)"


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _row(row: Row) -> dict[str, Any]:
    return {
        "threshold": row.threshold,
        "requests": row.requests,
        "hits": row.hits,
        "share": row.share,
        "near": row.near,
        "near_answers": _judged(row.judged),
        "saved": asdict(row.saved),
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return asdict(judged) | {"share": judged.share, "at_most": judged.upper if judged.compared else None}

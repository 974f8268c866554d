"""An evaluation as one HTML file and as JSON: figures, the curve, and pictures of what went wrong or nearly so."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from gateway.evaluate.cases import Trial
from gateway.evaluate.copies import POLICY
from gateway.evaluate.exhibit import Exhibit, Exhibits, Name, in_words, outcome_in_words, stored_name
from gateway.evaluate.ladder import Hit
from gateway.evaluate.measure import Measured
from gateway.evaluate.page import render
from gateway.evaluate.summary import Recall, Summary, points_shown

# A page that a phone still opens: some 150 KB each.
_WRONG_SHOWN: Final = 40
_OTHERS_SHOWN: Final = 12

Advance = Callable[[int, int], None]


def html(
    summary: Summary, measured: Measured, about: dict[str, str], exhibits: Exhibits, name: Name, advance: Advance
) -> str:
    """`about` is what was measured, as words and values."""
    parts = [
        summary.wrong[:_WRONG_SHOWN],
        summary.unjudged[:_OTHERS_SHOWN],
        summary.near_misses[:_OTHERS_SHOWN],
        summary.missed[:_OTHERS_SHOWN],
    ]
    total, made, done = sum(map(len, parts)), [], 0
    for trials in parts:
        shown: list[Exhibit] = []
        for trial in trials:
            shown.append(exhibits.of(trial, name))
            advance(done := done + 1, total)
        made.append(shown)
    wrong, unjudged, near, missed = made
    return render(
        "evaluate.html.j2",
        title="lookalike evaluate",
        summary=summary,
        limit=summary.limit,
        policy=POLICY,
        about=about,
        stopped=measured.stopped,
        skipped=measured.skipped,
        points=points_shown(summary.curve),
        wrong=wrong,
        unjudged=unjudged,
        near=near,
        missed=missed,
    )


def as_json(summary: Summary, measured: Measured, about: dict[str, str], name: Name) -> dict[str, Any]:
    return {
        "about": about,
        "stopped": measured.stopped,
        "skipped": [asdict(skipped) for skipped in measured.skipped],
        "threshold": summary.threshold,
        "pictures": summary.pictures,
        "recall": summary.recall,
        "classes": {whole.name: _recall(whole) | {"variants": _recalls(parts)} for whole, parts in summary.classes},
        "listed": _recall(summary.listed) if summary.listed else None,
        "look_alikes": summary.look_alikes,
        "look_alikes_served": summary.look_alikes_served,
        "upper_bound_95": summary.bound,
        "edits": dict(summary.kinds),
        "crosses": summary.crosses,
        "wrong": _trials(summary.wrong, name),
        "unjudged": _trials(summary.unjudged, name),
        "near_misses": _trials(summary.near_misses, name),
        "curve": [asdict(point) for point in summary.curve],
    }


def _recalls(recalls: Iterable[Recall]) -> dict[str, Any]:
    return {recall.name: _recall(recall) for recall in recalls}


def _recall(recall: Recall) -> dict[str, Any]:
    return {"found": recall.found, "asked": recall.asked, "missed": dict(recall.missed)}


def _trials(trials: Sequence[Trial], name: Name) -> list[dict[str, Any]]:
    return [
        {
            "stored": stored_name(trial, name),
            "source": trial.source,
            "asked": in_words(trial, name),
            "outcome": outcome_in_words(trial.outcome),
            "hit": isinstance(trial.outcome, Hit),
            "similarity": trial.outcome.similarity,
            "score": trial.outcome.score,
            "box": asdict(trial.box) if trial.box else None,
        }
        for trial in trials
    ]

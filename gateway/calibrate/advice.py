"""From a curve to settings, and how sure they are. Pure.

A threshold is recommended only where the near hits' disagreement, beyond what the model's disagreement with itself
explains, is below the limit at 95% confidence. In doubt: keep watching.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import bounds
from gateway.calibrate.curve import Judge, Judged, Row, Seen, baseline, curve, groups, row
from gateway.question import Mode
from gateway.shadow import Observation

# Beyond this share of other answers to the very same bytes, disagreement says little about the pictures.
_OWN_MOST = 0.2
_CLOSE_ENOUGH = (
    "If the model words one answer in many ways, --similar-enough 0.8 lets answers agree that have the same numbers "
    "and similar texts; temperature 0 makes it repeat itself."
)


@dataclass(frozen=True, slots=True)
class Outlier:
    """A question whose near hits disagree clearly more often than those of all others."""

    question: str
    judged: Judged
    others: Judged


@dataclass(frozen=True, slots=True)
class Advice:
    mode: Mode
    threshold: float | None  # None: as it is
    why: str
    next_step: str | None = None
    outliers: tuple[Outlier, ...] = ()

    def toml(self, look: Seen) -> str:
        """The lines for the configuration file: a threshold belongs to the embedder that it was found with."""
        lines = [f'mode = "{self.mode}"']
        if self.threshold is not None:
            changed = f"    # was {look.threshold:g}" if self.threshold != look.threshold else "    # as it is"
            lines.append(f"threshold = {{ {_embedder(look.space)} = {self.threshold:g} }}{changed}")
        return "\n".join(lines)


def advise(look: Seen, judge: Judge, disagreement_max: float) -> Advice:
    """What to set, given that at most `disagreement_max` of the near hits may disagree."""
    if look.threshold is None:
        why = "No request came to compare pictures: each was new, or the same bytes or pixels as a stored one."
        return Advice(Mode.SHADOW, None, why, "Keep shadow mode on.")
    odd = outliers(look.observations, look.threshold, judge)
    named = {one.question for one in odd}
    kept = Seen(look.space, look.threshold, [one for one in look.observations if one.question not in named])
    rows = [one for one in curve(kept, judge) if one.judged.compared]
    own = baseline(look.observations, judge)
    if not rows:
        why = "No near hit was seen yet, so there is nothing to judge a threshold by."
        return Advice(Mode.SHADOW, None, why, "Keep shadow mode on.", odd)
    if own.share is not None and own.share > _OWN_MOST:
        why = (
            f"Asked the same bytes again, the model gave another answer {_of(own)} times: so near hits cannot be told "
            "from wrong ones."
        )
        return Advice(Mode.SHADOW, None, why, f"Keep shadow mode on. {_CLOSE_ENOUGH}", odd)
    in_force = row(kept.observations, look.threshold, judge)
    fine = [one for one in rows if _proven(one, in_force, own, disagreement_max)]
    if fine:
        return _near(fine, look.threshold, own, odd)
    open_rows = [one for one in rows if one.judged.lower - own.upper <= disagreement_max]
    return _wait(open_rows, own, disagreement_max, odd) if open_rows else _pixel(rows, own, odd)


def outliers(observations: Sequence[Observation], threshold: float, judge: Judge) -> tuple[Outlier, ...]:
    total = row(observations, threshold, judge).judged
    found = []
    for question, one in groups(observations, lambda one: one.question, threshold, judge):
        others = total.without(one.judged)
        if one.judged.disagreed and others.compared and one.judged.lower > others.upper:
            found.append(Outlier(question, one.judged, others))
    return tuple(found)


def _proven(one: Row, in_force: Row, own: Judged, disagreement_max: float) -> bool:
    """Whether a threshold keeps the limit. Hits that a lower one adds must do so by themselves: many good ones above
    would hide them."""
    if _excess_upper(one.judged, own) > disagreement_max:
        return False
    added = one.judged.without(in_force.judged)
    return one.threshold >= in_force.threshold or _excess_upper(added, own) <= disagreement_max


def _near(fine: Sequence[Row], in_force: float, own: Judged, odd: tuple[Outlier, ...]) -> Advice:
    # Of thresholds that serve as many, the one in force, for no change is made without a gain; else the strictest,
    # which alone is in the curve.
    best = max(fine, key=lambda one: (one.near, -abs(one.threshold - in_force)))
    why = (
        f"At {best.threshold:g}, {_of(best.judged)} near hits disagreed: with 95% confidence at most "
        f"{best.judged.upper:.1%} do{_explained(own)}."
    )
    return Advice(Mode.NEAR, best.threshold, why, None, odd)


def _pixel(rows: Sequence[Row], own: Judged, odd: tuple[Outlier, ...]) -> Advice:
    best = min(rows, key=lambda one: one.judged.lower)
    why = (
        f"At every threshold the near hits disagree too often: at {best.threshold:g} {_of(best.judged)}, with 95 % "
        f"confidence at least {best.judged.lower:.1%}, while the model disagrees with itself at most {own.upper:.1%} "
        "of the time."
    )
    return Advice(Mode.PIXEL, None, why, _CLOSE_ENOUGH, odd)


def _wait(rows: Sequence[Row], own: Judged, disagreement_max: float, odd: tuple[Outlier, ...]) -> Advice:
    def more_hits(one: Row) -> int:
        return bounds.cases_needed(one.judged.disagreed, disagreement_max + own.lower) - one.judged.compared

    def more_requests(one: Row) -> float:
        return more_hits(one) * one.requests / one.near

    best = min(rows, key=more_requests)
    why = (
        f"Too little was seen to tell. At {best.threshold:g}, {_of(best.judged)} near hits disagreed, which may still "
        f"be {best.judged.upper:.1%} of all (95% confidence){_explained(own)}; the limit is {disagreement_max:.1%}."
    )
    step = (
        f"Keep shadow mode on: {more_hits(best):,} more near hits without a disagreement are needed, about "
        f"{_rounded(more_requests(best)):,} requests like those seen."
    )
    if best.judged.disagreed and not own.compared:
        step += " Send some requests twice, byte for byte: how often the model disagrees with itself is not known."
    return Advice(Mode.SHADOW, None, why, step, odd)


def _embedder(space: str | None) -> str:
    """The embedder's name in the settings, from a space such as clip:ViT-B-32/laion2b_s34b_b79k@5f0c/512."""
    return (space or "").partition("@")[0].partition(":")[0]


def _rounded(count: float) -> int:
    """Two digits, rounded up: the rest would pretend to be exact."""
    unit = int("1" + "0" * max(0, len(str(math.ceil(count))) - 2))
    return math.ceil(count / unit) * unit


def _excess_upper(judged: Judged, own: Judged) -> float:
    """How often near hits may disagree beyond what the model does by itself, each bound with 95% confidence."""
    return max(0.0, judged.upper - own.lower)


def _explained(own: Judged) -> str:
    if not own.disagreed:
        return ""
    return f", and the model disagrees with itself in at least {own.lower:.1%}"


def _of(judged: Judged) -> str:
    return f"{judged.disagreed:,} of {judged.compared:,}"

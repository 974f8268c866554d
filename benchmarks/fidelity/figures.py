"""Outcomes to figures: shares with their bounds, by method; times; what the evidence weighs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fidelity.material import Group
from benchmarks.fidelity.methods import GUARD, LADDER
from benchmarks.fidelity.trials import EDIT_WAYS, HARD_WAYS, Outcome
from gateway.bounds import upper_bound
from gateway.evaluate.copies import CORE, POLICY

ALL_CORE = "all core classes"
_OTHER_WAY = "any other way"
_WAYS = (*dict.fromkeys(" ".join(way) for way in (*EDIT_WAYS, *HARD_WAYS)), _OTHER_WAY)  # in this order
_WRONG = {"hard": "look-alikes", "cross": "unrelated", "edit": "edits"}  # trials without a right hit


@dataclass(frozen=True, slots=True)
class Share:
    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else float("nan")

    @property
    def upper(self) -> float:
        """One-sided 95 % upper bound (Clopper-Pearson)."""
        return upper_bound(self.count, self.of)

    def as_json(self) -> dict[str, float | int]:
        return {"count": self.count, "of": self.of, "upper": self.upper}


Row = dict[str, Share]  # by method


def row(outcomes: Sequence[Outcome], methods: Iterable[str]) -> Row:
    """How many of the outcomes each method accepts."""
    counts = Counter(method for outcome in outcomes for method in outcome.by)
    return {method: Share(counts[method], len(outcomes)) for method in methods}


def recall(outcomes: Sequence[Outcome], methods: Iterable[str], group: Group | None) -> dict[str, Row]:
    """By class of transform, then over all core classes, each copy counting alike, then the policy classes."""
    copies = [one for one in outcomes if one.trial == "copy" and group in (None, one.group)]
    by_class = _by(copies, lambda one: one.way[0])
    rows = {kind: row(by_class[kind], methods) for kind in (*CORE, *POLICY) if kind in by_class}
    core = [one for one in copies if one.way[0] in CORE]
    ordered = {kind: rows[kind] for kind in CORE if kind in rows} | {ALL_CORE: row(core, methods)}
    return ordered | {f"({kind})": rows[kind] for kind in POLICY if kind in rows}


def positives(outcomes: Sequence[Outcome], methods: Iterable[str]) -> dict[str, Row]:
    """Listed copies, per direction and in at least one."""
    found = [one for one in outcomes if one.trial == "positive"]
    if not found:
        return {}
    return {
        "listed copies, each direction": row(found, methods),
        "listed copies, either direction": _once(found, methods, lambda one: str(sorted((one.stored, one.asked)))),
    }


def wrong(outcomes: Sequence[Outcome], methods: Iterable[str]) -> dict[str, Row]:
    """Wrong hits by trial and by what was done to the asked picture."""
    rows: dict[str, Row] = {}
    for trial, label in _WRONG.items():
        found = [one for one in outcomes if one.trial == trial]
        ways = _by(found, _shown_way)
        if len(ways) > 1:
            rows |= {f"{label}, {way}": row(ways[way], methods) for way in _WAYS if way in ways}
        if found:
            rows[f"{label}, all"] = row(found, methods)
    if edited := [one for one in outcomes if one.trial == "edit"]:
        rows["edits taken at least once"] = _once(edited, methods, lambda one: one.stored)
    return rows


def _shown_way(one: Outcome) -> str:
    return " ".join(one.way) if one.way in (*HARD_WAYS, *EDIT_WAYS) else _OTHER_WAY


def edits(outcomes: Sequence[Outcome], methods: Iterable[str]) -> dict[str, Row]:
    """Wrong hits by class of edit."""
    found = _by([one for one in outcomes if one.trial == "edit"], lambda one: one.edit)
    return {edit: row(ones, methods) for edit, ones in sorted(found.items())}


def strange_answers(outcomes: Sequence[Outcome], are_kin: Callable[[str, str], bool]) -> list[Outcome]:
    """Copies that the ladder answered from another picture's entry: wrong hits of their own."""
    return [
        one for one in outcomes if one.trial == "copy" and one.served is not None and not are_kin(one.asked, one.served)
    ]


def doubts(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Why the guard refused copies, by class of transform."""
    refused = _by([one for one in outcomes if one.trial == "copy" and one.doubt], lambda one: one.way[0])
    return {
        kind: dict(Counter(str(one.doubt) for one in refused[kind])) for kind in (*CORE, *POLICY) if kind in refused
    }


_SIZES_MP = (0.3, 0.8, 1.5)


def bucket(pixels: int) -> str:
    """By megapixels of the asked picture."""
    below = next((limit for limit in _SIZES_MP if pixels < limit * 1e6), None)
    return f"below {below} MP" if below else f"{_SIZES_MP[-1]} MP and more"


def compare_times(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Milliseconds of a comparison that decodes its evidence first; for unrelated pairs it was decoded already."""
    timed: dict[str, list[float]] = defaultdict(list)
    for one in outcomes:
        if one.compare_ms is None:
            continue
        verdict = "same" if one.doubt is None else "refused"
        if one.trial == "cross":
            timed["unrelated, refused, any size" if one.doubt else "unrelated, same"].append(one.compare_ms)
        else:
            timed[f"{verdict}, {bucket(one.asked_px)}"].append(one.compare_ms)
            timed[f"{verdict}, any size"].append(one.compare_ms)
    return {name: spread(values) for name, values in sorted(timed.items())}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Of at least one value."""
    return {"n": len(values), "p50": float(np.median(values)), "p95": float(np.quantile(values, 0.95))}


def nearest_wrong(outcomes: Sequence[Outcome], most: int) -> list[Outcome]:
    """Pairs that must not be taken for one, those that the guard took or nearly took first; one way of each pair."""
    wrong = [one for one in outcomes if one.trial in ("hard", "cross", "edit") and one.score is not None]
    wrong.sort(key=lambda one: (one.doubt is not None, LADDER not in one.by, one.score))
    return _first_of_each(wrong, lambda one: (one.stored, one.asked), most)


def missed_copies(outcomes: Sequence[Outcome], most: int) -> list[Outcome]:
    """Refused copies, the gentlest transforms first; one of each class and doubt."""
    missed = [one for one in outcomes if one.trial == "copy" and GUARD not in one.by and one.way[0] in CORE]
    missed.sort(key=lambda one: (CORE.index(one.way[0]), one.asked))
    return _first_of_each(missed, lambda one: (one.way[0], one.doubt), most)


def _first_of_each(outcomes: list[Outcome], key: Callable[[Outcome], Any], most: int) -> list[Outcome]:
    first: dict[Any, Outcome] = {}
    for one in outcomes:
        first.setdefault(key(one), one)
    return list(first.values())[:most]


def _once(outcomes: Sequence[Outcome], methods: Iterable[str], key: Callable[[Outcome], str]) -> Row:
    things = _by(outcomes, key).values()
    taken = [frozenset[str]().union(*(one.by for one in ones)) for ones in things]
    return {method: Share(sum(method in by for by in taken), len(taken)) for method in methods}


def _by(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        found[key(one)].append(one)
    return found

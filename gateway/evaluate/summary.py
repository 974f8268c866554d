"""Trials to figures: what was right and wrong, recall, the curve over the threshold, and how sure one may be. Pure."""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from cache.guard import LIMIT
from cache.verdict import Doubt
from gateway.bounds import upper_bound
from gateway.evaluate.bench import Seen
from gateway.evaluate.cases import Copy, Edit, Itself, Listed, Trial
from gateway.evaluate.copies import COPIES, CORE
from gateway.evaluate.files import Judged
from gateway.evaluate.ladder import Hit, Outcome, Refused

CURVE: Final = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))
CURVE_FLOOR: Final = CURVE[0]
_NEAR_MISS_MAX: Final = 1.5  # a score above this is no near miss
_EXAMPLES_PER_REASON = 2
_ELSEWHERE: Final = "answered from another picture"
LISTED: Final = "listed as same"


class Mark(StrEnum):
    FOUND = "found"  # the same picture, answered from the cache
    MISSED = "missed"  # the same picture, asked of the model: costs a call
    REFUSED = "refused"  # another picture, asked of the model, as it should be
    WRONG = "wrong"  # another picture, answered from the cache
    UNJUDGED = "unjudged"  # answered from another picture of the folder: a person must say whether that is the same


class Catalogue:
    """Which pictures of the folder are one picture, as far as their pixels and a person's list say."""

    def __init__(self, seen: Iterable[Seen], judged: Iterable[Judged]) -> None:
        self._seen = list(seen)
        self._digest = {picture.name: picture.digest for picture in self._seen}
        self._group = {picture.digest: picture.pixels for picture in self._seen}
        self._said = {}
        for pair in judged:
            if pair.one in self._digest and pair.other in self._digest:
                groups = frozenset((self._group_of(pair.one), self._group_of(pair.other)))
                self._said[groups] = pair.same

    def entry(self, name: str) -> str:
        return self._digest[name]

    def name(self, entry: str) -> str:
        return next((picture.name for picture in self._seen if picture.digest == entry), entry)

    def same(self, name: str, entry: str) -> bool | None:
        """Whether the picture of this name is that of this entry; None if nobody has said."""
        groups = frozenset((self._group_of(name), self._group[entry]))
        return True if len(groups) == 1 else self._said.get(groups)

    def _group_of(self, name: str) -> str:
        return self._group[self._digest[name]]


def at(outcome: Outcome, threshold: float) -> Outcome:
    """What the outcome would have been with a higher threshold than the one measured with: a picture below it is not
    nominated. The guard's verdict does not depend on it."""
    similarity = outcome.similarity
    if similarity is None or similarity >= threshold:
        return outcome
    return Refused(Doubt.NEW_PICTURE, None, similarity)


def mark(trial: Trial, outcome: Outcome, catalogue: Catalogue) -> Mark:
    hit = outcome.entry if isinstance(outcome, Hit) else None
    match trial.case:
        case Copy():
            if hit is None:
                return Mark.MISSED
            return {True: Mark.FOUND, False: Mark.WRONG, None: Mark.UNJUDGED}[catalogue.same(trial.source, hit)]
        case Edit():
            return Mark.REFUSED if hit is None else Mark.WRONG
        case Itself():
            if hit is None:
                return Mark.REFUSED
            return {True: Mark.REFUSED, False: Mark.WRONG, None: Mark.UNJUDGED}[catalogue.same(trial.source, hit)]
        case Listed(_, same):
            if hit is None:
                return Mark.MISSED if same else Mark.REFUSED
            return Mark.FOUND if same else Mark.WRONG
        case _:
            assert_never(trial.case)


@dataclass(frozen=True, slots=True)
class Recall:
    """How many copies were answered from the cache, and why the others were not."""

    name: str
    found: int
    asked: int
    missed: tuple[tuple[str, int], ...]  # reason and count, the most frequent first

    @property
    def share(self) -> float:
        return self.found / self.asked if self.asked else math.nan


@dataclass(frozen=True, slots=True)
class Point:
    """The whole at one threshold."""

    threshold: float
    recall: float | None
    wrong: int
    wrong_share: float  # of everything asked that is another picture


@dataclass(frozen=True, slots=True)
class Summary:
    threshold: float
    limit: float  # of the guard\'s score
    pictures: int
    recall: float | None  # over the core classes, each counted alike; None where there was no copy
    classes: tuple[tuple[Recall, tuple[Recall, ...]], ...]  # each with its variants
    listed: Recall | None
    look_alikes: int  # edits and pairs listed as different, each counted once however it was sent
    look_alikes_served: int
    bound: float  # of the rate at which look-alikes are served, one-sided, 95 %
    crosses: int  # pictures asked against all others
    kinds: tuple[tuple[str, int], ...]  # edits by kind
    wrong: tuple[Trial, ...]
    unjudged: tuple[Trial, ...]  # one for each pair of pictures
    near_misses: tuple[Trial, ...]  # other pictures, refused by the smallest margin
    missed: tuple[Trial, ...]  # copies, an example or two for each reason
    curve: tuple[Point, ...]


def summarise(trials: Sequence[Trial], catalogue: Catalogue, threshold: float, limit: float = LIMIT) -> Summary:
    """Figures at `threshold`, which is not below the one that the trials were made with. `limit` is what the guard's
    score was held to."""
    now = [(trial, at(trial.outcome, threshold)) for trial in trials]
    marked = [(trial, outcome, mark(trial, outcome, catalogue)) for trial, outcome in now]
    classes = tuple(_classes(marked))
    listed = _recall(LISTED, [item for item in marked if isinstance(item[0].case, Listed) and item[0].case.same])
    alike, served = _look_alikes(marked)
    return Summary(
        threshold=threshold,
        limit=limit,
        pictures=len({trial.source for trial in trials if not isinstance(trial.case, Listed)}),
        recall=_mean([whole.share for whole, _ in classes if whole.name in CORE]),
        classes=classes,
        listed=listed if listed.asked else None,
        look_alikes=alike,
        look_alikes_served=served,
        bound=upper_bound(served, alike),
        crosses=sum(isinstance(trial.case, Itself) for trial in trials),
        kinds=tuple(Counter(_edits(trials).values()).most_common()),
        wrong=tuple(trial for trial, _, how in marked if how is Mark.WRONG),
        unjudged=tuple(_unjudged(marked, catalogue)),
        near_misses=tuple(_near_misses(marked, limit)),
        missed=tuple(_missed_examples(marked)),
        curve=tuple(_curve(trials, catalogue)),
    )


Marked = tuple[Trial, Outcome, Mark]


def _classes(marked: Sequence[Marked]) -> Iterable[tuple[Recall, tuple[Recall, ...]]]:
    by_variant: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for item in marked:
        if isinstance(item[0].case, Copy):
            by_variant[item[0].case.group, item[0].case.variant].append(item)
    for group, variants in COPIES.items():
        parts = [(variant, by_variant[group, variant]) for variant in variants if (group, variant) in by_variant]
        if parts:
            whole = _recall(group, [item for _, items in parts for item in items])
            yield whole, tuple(_recall(variant, items) for variant, items in parts)


def _recall(name: str, items: Sequence[Marked]) -> Recall:
    """An unjudged hit counts as asked and not as found: what nobody has judged is not praised."""
    missed = Counter(
        outcome.reason.value if isinstance(outcome, Refused) else _ELSEWHERE
        for _, outcome, how in items
        if how is not Mark.FOUND
    )
    return Recall(name, sum(how is Mark.FOUND for *_, how in items), len(items), tuple(missed.most_common()))


def _mean(shares: Sequence[float]) -> float | None:
    return sum(shares) / len(shares) if shares else None


def _edits(trials: Iterable[Trial]) -> dict[tuple[str, int], str]:
    return {(t.source, t.case.number): t.edit or "" for t in trials if isinstance(t.case, Edit)}


def _look_alikes(marked: Sequence[Marked]) -> tuple[int, int]:
    """How many there are, and how many were served in at least one way of sending them."""
    all_of_them, served = set(), set()
    for trial, _, how in marked:
        match trial.case:
            case Edit(number, _):
                key: object = (trial.source, number)
            case Listed(asked, False):
                key = frozenset((trial.source, asked))
            case _:
                continue
        all_of_them.add(key)
        if how is Mark.WRONG:
            served.add(key)
    return len(all_of_them), len(served)


def _unjudged(marked: Sequence[Marked], catalogue: Catalogue) -> Iterable[Trial]:
    pairs = set()
    for trial, outcome, how in sorted(marked, key=lambda item: not isinstance(item[0].case, Itself)):
        pair = frozenset((catalogue.entry(trial.source), outcome.entry))
        if how is Mark.UNJUDGED and pair not in pairs:
            pairs.add(pair)
            yield trial


def _near_misses(marked: Sequence[Marked], limit: float) -> list[Trial]:
    found = [
        (outcome.score, number, trial)
        for number, (trial, outcome, how) in enumerate(marked)
        if how is Mark.REFUSED and outcome.score is not None and limit < outcome.score <= _NEAR_MISS_MAX
    ]
    return [trial for _, _, trial in sorted(found)]


def _missed_examples(marked: Sequence[Marked]) -> Iterable[Trial]:
    """Of the core classes: for each reason the pictures that came nearest to being found, one copy of each."""
    by_reason: dict[str, dict[str, tuple[float, int, Trial]]] = defaultdict(dict)
    counts: Counter[str] = Counter()
    for number, (trial, outcome, how) in enumerate(marked):
        core = isinstance(trial.case, Copy) and trial.case.group in CORE
        if how is Mark.MISSED and isinstance(outcome, Refused) and (core or isinstance(trial.case, Listed)):
            score = math.inf if outcome.score is None else outcome.score
            found = by_reason[outcome.reason]
            found[trial.source] = min(found.get(trial.source, (math.inf, number, trial)), (score, number, trial))
            counts[outcome.reason] += 1
    for reason, _ in counts.most_common():
        yield from (trial for *_, trial in sorted(by_reason[reason].values())[:_EXAMPLES_PER_REASON])


def _curve(trials: Sequence[Trial], catalogue: Catalogue) -> Iterable[Point]:
    """From the similarity and the verdict of each trial; nothing is compared again. A hit by bytes or pixels needs no
    nomination and holds at every threshold."""
    found: dict[str, list[float]] = defaultdict(list)  # class -> cosine of each hit
    asked: Counter[str] = Counter()
    wrong, others = [], 0
    for trial in trials:
        how, similarity = mark(trial, trial.outcome, catalogue), trial.outcome.similarity
        reached = math.inf if similarity is None else similarity
        if isinstance(trial.case, Copy) and trial.case.group in CORE:
            asked[trial.case.group] += 1
            if how is Mark.FOUND:
                found[trial.case.group].append(reached)
        others += how in (Mark.WRONG, Mark.REFUSED)
        if how is Mark.WRONG:
            wrong.append(reached)
    for reached_all in (*found.values(), wrong):
        reached_all.sort()
    for threshold in CURVE:
        shares = [_at_least(found[group], threshold) / asked[group] for group in asked]
        served = _at_least(wrong, threshold)
        yield Point(threshold, _mean(shares), served, served / max(1, others))


def points_shown(curve: Sequence[Point]) -> list[Point]:
    """The points that a short table shows: coarse, and finer where recall begins to fall."""
    return [point for point in curve if round(100 * point.threshold) % 5 == 0 or point.threshold in (0.97, 0.98, 0.99)]


def _at_least(ordered: Sequence[float], threshold: float) -> int:
    return len(ordered) - bisect_left(ordered, threshold)

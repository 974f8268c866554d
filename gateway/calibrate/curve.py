"""What another threshold would have served and saved, and how often its answers would have been others. Pure.

Requests are the rows of the shadow log. A would-be hit is judged by the fresh answer beside the stored one; requests
of the very same bytes tell how often the model disagrees with itself.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cache.survey import MARGIN
from gateway import bounds
from gateway.shadow import Agreement, Candidate, Kind, Observation

_SURE = (Kind.EXACT, Kind.PIXEL)  # hits at any threshold
_STEP = 0.01
_FINEST = 0.995  # most copies lie between the last step and 1


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers that were compared, and how many of them disagreed."""

    compared: int
    disagreed: int
    numbers_disagreed: int  # ... in a number

    @property
    def share(self) -> float | None:
        return self.disagreed / self.compared if self.compared else None

    @property
    def upper(self) -> float:
        return bounds.upper_bound(self.disagreed, self.compared)

    @property
    def lower(self) -> float:
        return bounds.lower_bound(self.disagreed, self.compared)

    def without(self, part: "Judged") -> "Judged":
        """What is left of these comparisons without a part of them."""
        return Judged(
            self.compared - part.compared,
            self.disagreed - part.disagreed,
            self.numbers_disagreed - part.numbers_disagreed,
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """What hits would have saved, as far as the upstream said."""

    calls: int
    upstream_s: float
    tokens_in: int
    tokens_out: int
    money: dict[str, float]  # by currency


@dataclass(frozen=True, slots=True)
class Row:
    """One threshold."""

    threshold: float
    requests: int
    hits: int  # of every kind
    near: int
    judged: Judged  # the near ones
    saved: Saved  # by hits of every kind

    @property
    def share(self) -> float:
        return self.hits / self.requests if self.requests else 0.0


@dataclass(slots=True)
class Refusals:
    """Nearest candidates that were refused for one reason, by what refusing them cost or saved."""

    agreed: int = 0  # served, it would have been a good hit: recall lost
    disagreed: int = 0  # a wrong hit prevented
    not_compared: int = 0


@dataclass(frozen=True, slots=True)
class Judge:
    """When two answers agree: one text; or the same numbers, and texts at least this similar."""

    similar_enough: float = 1.0

    def agrees(self, agreement: Agreement) -> bool:
        close = agreement.numbers_agree and agreement.similarity >= self.similar_enough
        return agreement.same or close

    def judged(self, agreements: Iterable[Agreement | None]) -> Judged:
        compared = [one for one in agreements if one is not None]
        disagreed = sum(not self.agrees(one) for one in compared)
        return Judged(len(compared), disagreed, sum(not one.numbers_agree for one in compared))


@dataclass(frozen=True, slots=True)
class Seen:
    """The requests that can be set against each other: those of the embedding space in use last."""

    space: str | None
    threshold: float | None  # the one most often in force there
    observations: list[Observation]
    other_spaces: int = 0  # requests left out, for their similarities mean something else


def seen(observations: Sequence[Observation]) -> Seen:
    space = next((one.space for one in reversed(observations) if one.space is not None), None)
    kept = [one for one in observations if one.space in (None, space)]
    thresholds = Counter(one.threshold for one in kept if one.threshold is not None)
    threshold = thresholds.most_common(1)[0][0] if thresholds else None
    return Seen(space, threshold, kept, len(observations) - len(kept))


def nominated(observation: Observation, threshold: float) -> list[Candidate]:
    """Whatever the threshold, no less similar than this request demands."""
    least = max(threshold, observation.floor)
    return [one for one in observation.candidates if one.similarity >= least]


def near_hit(observation: Observation, threshold: float) -> Candidate | None:
    """The candidate that the ladder would have served at this threshold."""
    return next((one for one in nominated(observation, threshold) if one.doubt is None), None)


def row(observations: Sequence[Observation], threshold: float, judge: Judge) -> Row:
    return _row(_possible_hits(observations), len(observations), threshold, judge)


def curve(look: Seen, judge: Judge) -> list[Row]:
    """Rows from the lowest threshold of which the log knows to 1. Of rows that differ in nothing but the threshold,
    the strictest is there, and always the threshold in force."""
    if look.threshold is None:
        return []
    possible, requests = _possible_hits(look.observations), len(look.observations)
    rows = [_row(possible, requests, threshold, judge) for threshold in _grid(look.threshold)]
    stricter: list[Row | None] = [*rows[1:], None]
    return [
        one
        for one, next_one in zip(rows, stricter, strict=True)
        if one.threshold == look.threshold or next_one is None or next_one.near != one.near
    ]


def baseline(observations: Iterable[Observation], judge: Judge) -> Judged:
    """How often the model disagrees with itself: the same bytes asked again."""
    return judge.judged(one.agreement for one in observations if one.would_be is Kind.EXACT)


def groups(
    observations: Iterable[Observation], key: Callable[[Observation], str], threshold: float, judge: Judge
) -> list[tuple[str, Row]]:
    """A row for each value of `key`, those with the most would-be hits first."""
    grouped: defaultdict[str, list[Observation]] = defaultdict(list)
    for one in observations:
        grouped[key(one)].append(one)
    rows = [(name, row(members, threshold, judge)) for name, members in grouped.items()]
    return sorted(rows, key=lambda item: (-item[1].hits, -item[1].requests, item[0]))


def refusals(observations: Iterable[Observation], threshold: float, judge: Judge) -> dict[str, Refusals]:
    """By reason: the nearest candidate of a request, where it was nominated and refused. A request that another
    candidate answers has lost nothing."""
    found: defaultdict[str, Refusals] = defaultdict(Refusals)
    for one in observations:
        nearest = next(iter(nominated(one, threshold)), None)
        if nearest is None or nearest.doubt is None:
            continue
        reason = found[nearest.doubt]
        if nearest.agreement is None:
            reason.not_compared += 1
        elif not judge.agrees(nearest.agreement):
            reason.disagreed += 1
        elif near_hit(one, threshold) is None:
            reason.agreed += 1
    return dict(sorted(found.items()))


def _possible_hits(observations: Iterable[Observation]) -> list[Observation]:
    """Those that are a hit at some threshold: a log of a week has many others, and a curve many rows."""
    return [one for one in observations if one.would_be in _SURE or near_hit(one, 0.0) is not None]


def _row(possible: Sequence[Observation], requests: int, threshold: float, judge: Judge) -> Row:
    sure = [one for one in possible if one.would_be in _SURE]
    found = [(one, near_hit(one, threshold)) for one in possible if one.would_be not in _SURE]
    near = [(one, candidate) for one, candidate in found if candidate is not None]
    judged = judge.judged(candidate.agreement for _, candidate in near)
    saved = _saved([*sure, *(one for one, _ in near)])
    return Row(threshold, requests, len(sure) + len(near), len(near), judged, saved)


def _grid(threshold: float) -> list[float]:
    floor = max(0.0, threshold - MARGIN)
    steps = [round(floor + _STEP * count, 4) for count in range(int((1 - floor) / _STEP) + 1)]
    return sorted({*steps, round(floor, 4), _FINEST, 1.0, threshold} - {step for step in steps if step > 1})


def _saved(hits: Sequence[Observation]) -> Saved:
    whole = [one for one in hits if one.unread is None]
    money: dict[str, float] = {}
    for one in whole:
        if one.money is not None and one.currency is not None:
            money[one.currency] = money.get(one.currency, 0.0) + one.money
    return Saved(
        calls=len(hits),
        upstream_s=sum(one.upstream_s for one in whole),
        tokens_in=sum(one.tokens_in or 0 for one in whole),
        tokens_out=sum(one.tokens_out or 0 for one in whole),
        money=money,
    )

"""How large or small a rate can still be, after so many cases: exact one-sided bounds of Clopper and Pearson. Pure.

With 0 of 300 the upper bound is just under 1 %, which is the "rule of three": 3 divided by the number of cases.
"""

import math

import numpy as np

CONFIDENCE = 0.95
_HALVINGS = 60  # of the interval 0..1: beyond the resolution of a float
_CASES_MOST = 10**8


def upper_bound(events: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The rate at which `events` or fewer of `cases` would have a chance of 1 - `confidence`. 1 if there were none."""
    if not 0 <= events <= cases:
        raise ValueError(f"{events} of {cases}: more events than cases, or fewer than none")
    if events == cases:
        return 1.0
    low, high = events / cases, 1.0
    chances = _LogChances(events, cases)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if chances.at_most(middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_bound(events: int, cases: int, confidence: float = CONFIDENCE) -> float:
    """The rate at which `events` or more of `cases` would have a chance of 1 - `confidence`. 0 if there were none."""
    return 1.0 - upper_bound(cases - events, cases, confidence)


def cases_needed(events: int, rate: float, confidence: float = CONFIDENCE) -> int:
    """The smallest number of cases with no more than `events` events whose upper bound is at most `rate`."""
    if not 0 < rate < 1:
        raise ValueError(f"a rate between 0 and 1 is wanted, not {rate}")
    short, enough = events, max(2 * events, 1)
    while upper_bound(events, enough, confidence) > rate:
        short, enough = enough, 2 * enough
        if enough > _CASES_MOST:
            return enough
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (middle, enough) if upper_bound(events, middle, confidence) > rate else (short, middle)
    return enough


class _LogChances:
    """The binomial distribution's lower tail."""

    def __init__(self, events: int, cases: int) -> None:
        count = np.arange(1, events + 1, dtype=np.float64)
        ways = np.concatenate(([0.0], np.cumsum(np.log((cases - count + 1) / count))))
        self._ways = ways  # logarithm of "cases choose 0..events"
        self._counts = np.arange(events + 1, dtype=np.float64)
        self._cases = cases

    def at_most(self, rate: float) -> float:
        """The chance of at most `events` events."""
        if rate >= 1:
            return 0.0
        if rate <= 0:
            return 1.0
        chances = self._ways + self._counts * math.log(rate) + (self._cases - self._counts) * math.log1p(-rate)
        return float(np.exp(chances).sum())

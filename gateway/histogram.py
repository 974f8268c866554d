"""Percentiles from counts: a histogram whose bins grow by the same factor each. Pure.

A bin is a number, and a histogram is how many values fell into each. So histograms of any two spans of time add up,
and a percentile is at most RELATIVE_ERROR off, whatever was added. (The bins are those of DDSketch.)
"""

import math
from collections.abc import Mapping

RELATIVE_ERROR = 0.025
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)


def bin_of(value: int) -> int:
    """The bin that a value falls into. What is below 1 counts as 1."""
    return max(0, math.ceil(math.log(value) / _LOG_GROWTH)) if value > 1 else 0


def value_of(number: int) -> float:
    """The value that stands for all of a bin."""
    return 2 * _GROWTH**number / (_GROWTH + 1) if number else 1.0


def percentile(bins: Mapping[int, int], share: float) -> float | None:
    """The smallest value that at least this share of the values do not exceed; None if there are none."""
    rank = math.ceil(share * sum(bins.values()))
    for number in sorted(bins):
        rank -= bins[number]
        if rank <= 0 and bins[number]:
            return value_of(number)
    return None

"""How sure one may be of a rate after a number of tries: the one home of the confidence bound."""

import math
from typing import Final

CONFIDENCE: Final = 0.95
_BISECTIONS = 60


def upper_bound(wrong: int, tried: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson: the largest rate that would show so few wrong with a chance of 1 - confidence.

    With none wrong it is 1 - (1 - confidence) ** (1 / tried), about 3 / tried; 1 where nothing was tried.
    """
    if not 0 <= wrong <= tried:
        raise ValueError(f"{wrong} of {tried}")
    if wrong == tried:
        return 1.0
    low, high = wrong / tried, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _chance_of_so_few(wrong, tried, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _chance_of_so_few(wrong: int, tried: int, rate: float) -> float:
    """P(X <= wrong) of a binomial, by logarithms so that nothing overflows; 0 < rate < 1."""
    if rate >= 1.0:
        return 0.0
    yes, no = math.log(rate) if rate > 0 else -math.inf, math.log1p(-rate)
    total = 0.0
    for count in range(wrong + 1):
        ways = math.lgamma(tried + 1) - math.lgamma(count + 1) - math.lgamma(tried - count + 1)
        total += math.exp(ways + (count * yes if count else 0.0) + (tried - count) * no)
    return total

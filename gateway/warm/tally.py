"""What a run has come to so far: counts, money, and how long the rest will take. No I/O, no clock."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from gateway.bulk.items import Answer, Failure, Result
from gateway.price import Price

_RATE_OVER: Final = 200  # results that the rate is taken over: long enough to be steady, short enough to follow


@dataclass(slots=True)
class Tally:
    """Results of this run; `before` are items that had theirs when it began."""

    price_of: Callable[[str], Price | None]
    total: int = 0
    before: int = 0
    later: int = 0  # put off until the picture that they look like is answered
    hits: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)  # asked of the model, by the reason of the miss
    passed: Counter[str] = field(default_factory=Counter)  # ... where the cache was not asked, by the reason
    failed: Counter[str] = field(default_factory=Counter)
    # Of all that were answered, before this run as well: what the cache has no answer to after all, by the reason.
    unkept: Counter[str] = field(default_factory=Counter)
    looked_up: int = 0
    spent: dict[str, float] = field(default_factory=dict)  # by currency
    saved: dict[str, float] = field(default_factory=dict)
    unpriced: int = 0  # answers of the model whose price is not known
    failed_in_a_row: int = 0
    passed_in_a_row: int = 0
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_OVER))

    @property
    def asked(self) -> int:
        return sum(sum(counts.values()) for counts in (self.hits, self.misses, self.passed, self.failed))

    @property
    def done(self) -> int:
        return self.before + self.asked

    def add(self, result: Result, now_s: float) -> None:
        """Count a result that came at this moment of the monotonic clock."""
        self._ends.append(now_s)
        match result:
            case Failure(code):
                self.failed[code] += 1
                self.failed_in_a_row += 1
            case Answer(cache=cache, reason=reason):
                self.failed_in_a_row = 0
                counts, word = (self.hits, cache) if result.hit else (self.misses, reason)
                if cache == "bypass":
                    counts = self.passed
                counts[word or cache] += 1
                self.passed_in_a_row = self.passed_in_a_row + 1 if cache == "bypass" else 0
                self._pay(result)
            case _:
                assert_never(result)

    def checked(self, result: Result) -> None:
        """Count one of those that were looked up after they were answered."""
        self.looked_up += 1
        if isinstance(result, Failure):
            self.unkept[result.message] += 1

    def _pay(self, answer: Answer) -> None:
        price = self.price_of(answer.model)
        # The gateway's own seconds are no upstream's: what a hit saved of a machine's hours is not known here.
        if answer.hit and (price is None or price.per_upstream_hour is not None):
            return
        money = price.of(answer.tokens_in, answer.tokens_out, answer.seconds) if price else None
        if price is None or money is None:
            self.unpriced += not answer.hit
            return
        purse = self.saved if answer.hit else self.spent
        purse[price.currency] = purse.get(price.currency, 0.0) + money

    def rate(self) -> float | None:
        """Results a second, lately."""
        if len(self._ends) < 2 or self._ends[-1] <= self._ends[0]:
            return None
        return (len(self._ends) - 1) / (self._ends[-1] - self._ends[0])

    def left_s(self) -> float | None:
        """Seconds until the end at this rate."""
        rate = self.rate()
        return None if rate is None else max(0, self.total - self.done) / rate

    def report(self) -> dict[str, Any]:
        """For programs."""
        return {
            "total": self.total,
            "done_before": self.before,
            "asked": self.asked,
            "near_duplicates_put_off": self.later,
            "hits": {"total": sum(self.hits.values()), **self.hits},
            "misses": {"total": sum(self.misses.values()), "by_reason": dict(self.misses)},
            "not_cacheable": {"total": sum(self.passed.values()), "by_reason": dict(self.passed)},
            "not_kept": {"total": sum(self.unkept.values()), "by_reason": dict(self.unkept)},
            "failed": {"total": sum(self.failed.values()), "by_code": dict(self.failed)},
            "spent": {currency: round(value, 6) for currency, value in self.spent.items()},
            "saved": {currency: round(value, 6) for currency, value in self.saved.items()},
            "answers_without_price": self.unpriced,
        }


def money(purse: dict[str, float]) -> str:
    return " + ".join(f"{value:,.4f} {currency}" for currency, value in sorted(purse.items()))

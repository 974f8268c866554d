"""What is counted: hits, misses and bypasses by reason, kinds of question, what hits saved. No I/O, no clock."""

from collections import Counter, deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from gateway.config import Price
from gateway.shadow import Kind, Observation, WouldServe


@dataclass(slots=True)
class Savings:
    """What hits saved, or would have saved."""

    tokens_in_saved: int = 0
    tokens_out_saved: int = 0
    hits_without_tokens: int = 0  # the upstream never said how many
    upstream_s_saved: float = 0.0
    money_saved: dict[str, float] = field(default_factory=dict)  # by currency
    hits_without_price: int = 0

    def add(self, tokens_in: int | None, tokens_out: int | None, upstream_s: float, price: Price | None) -> None:
        self.upstream_s_saved += upstream_s
        if tokens_in is None and tokens_out is None:
            self.hits_without_tokens += 1
        self.tokens_in_saved += tokens_in or 0
        self.tokens_out_saved += tokens_out or 0
        money = price.of(tokens_in, tokens_out, upstream_s) if price else None
        if price is None or money is None:
            self.hits_without_price += 1
        else:
            self.money_saved[price.currency] = self.money_saved.get(price.currency, 0.0) + money

    def report(self, calls: int) -> dict[str, Any]:
        """Unknown money is "unknown", never zero."""
        money: Any = {currency: round(value, 6) for currency, value in self.money_saved.items()}
        return {
            "calls": calls,
            "tokens_in": self.tokens_in_saved,
            "tokens_out": self.tokens_out_saved,
            "hits_with_unknown_tokens": self.hits_without_tokens,
            "upstream_seconds": round(self.upstream_s_saved, 3),
            "money": money or ("unknown" if self.hits_without_price else {}),
            "hits_with_unknown_price": self.hits_without_price,
        }


@dataclass(slots=True)
class ShadowTotals(Savings):
    """Requests of shadow mode, and how the answers to would-be hits compared with the stored ones."""

    requests: int = 0
    would_be: Counter[str] = field(default_factory=Counter)  # by what it would have been
    kinds: Counter[str] = field(default_factory=Counter)  # by kind of question
    kinds_hit: Counter[str] = field(default_factory=Counter)
    compared: int = 0  # would-be hits whose fresh answer came whole
    agreed: int = 0  # ... and says the same
    numbers_disagreed: int = 0

    def count(
        self, would: WouldServe, observed: Observation | None, price: Price | None, kinds: tuple[str, ...] = ()
    ) -> None:
        self.requests += 1
        self.would_be[would.kind] += 1
        self.kinds.update(kinds)
        if would.kind is not Kind.MISS:
            self.kinds_hit.update(kinds)
        if observed is None or observed.agreement is None:
            return
        self.compared += 1
        self.agreed += observed.agreement.same
        self.numbers_disagreed += not observed.agreement.numbers_agree
        self.add(observed.tokens_in, observed.tokens_out, observed.upstream_s, price)


@dataclass(slots=True)
class Totals(Savings):
    """Counters since the store was made. They survive a restart; a kill loses at most the last seconds."""

    requests: int = 0
    hits: Counter[str] = field(default_factory=Counter)  # by class
    misses: Counter[str] = field(default_factory=Counter)  # by doubt
    kinds: Counter[str] = field(default_factory=Counter)  # requests that the cache was asked for, by kind of question
    kinds_hit: Counter[str] = field(default_factory=Counter)
    asked_afresh: int = 0  # no-cache: the caller did not ask the cache
    bypasses: Counter[str] = field(default_factory=Counter)  # by reason
    errors: Counter[str] = field(default_factory=Counter)  # by code
    stored: int = 0
    unstored: Counter[str] = field(default_factory=Counter)  # by reason
    shadow: ShadowTotals = field(default_factory=ShadowTotals)


class EvidenceBytes:
    """How much is kept of a picture for the guard, since the start; the median is that of the last ones."""

    def __init__(self) -> None:
        self._pictures = self._bytes = 0
        self._last: deque[int] = deque(maxlen=1_000)

    def add(self, sizes: tuple[int, ...]) -> None:
        self._pictures += len(sizes)
        self._bytes += sum(sizes)
        self._last.extend(sizes)

    def report(self) -> dict[str, Any]:
        some = self._pictures > 0
        return {
            "pictures": self._pictures,
            "bytes_mean": round(self._bytes / self._pictures) if some else None,
            "bytes_p50": round(median(self._last)) if some else None,
        }


def by_kind(asked: Counter[str], hits: Counter[str]) -> dict[str, Any]:
    return {kind: {"requests": requests, "hits": hits[kind]} for kind, requests in asked.items()}

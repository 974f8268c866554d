"""From counts to the figures that people read: the JSON of docs/stats.md. Pure.

Rates have honest denominators, and what is unknown is said to be unknown, never zero.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gateway.histogram import RELATIVE_ERROR, percentile
from gateway.shadow import Kind
from gateway.tally import MICRO, NANO, Tally

_HITS = ("exact", "pixel", "near")
_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_HOUR_US = 3600 * MICRO


def figures(counts: Tally) -> dict[str, Any]:
    """All figures of one tally, from `requests` to `served_age`."""
    hits, misses, bypasses = (_under(counts, f"{what}/") for what in ("hit", "miss", "bypass"))
    alone = _under(counts, "alone/")
    saved = _saved(counts, "", hits.total())
    return {
        "requests": counts["requests"],
        "asked_of_cache": hits.total() + misses.total(),
        "hits": {"total": hits.total(), **{name: hits[name] for name in _HITS}},
        "hit_rate": _rate(hits, misses),
        "stale_hits": counts["stale"],
        "misses": {"total": misses.total(), "by_reason": dict(misses)},
        "collapsed": {"total": counts["collapsed"], "in_vain": dict(alone)},
        "kinds": _kinds(counts, ""),
        "asked_afresh": counts["afresh"],
        "bypasses": {"total": bypasses.total(), "by_reason": dict(bypasses)},
        "errors": dict(_under(counts, "error/")),
        "from_fallback": counts["fallback"],
        "stored": counts["stored"],
        "not_stored": dict(_under(counts, "unstored/")),
        "rules": {
            "edited": counts["rules/edited"],
            "tags": dict(_under(counts, "tag/")),
            "left_alone": dict(_under(counts, "rules/left/")),
        },
        "evidence": _evidence(counts),
        "let_go": {"evicted": counts["evicted"], "expired": counts["expired"]},
        "saved": saved,
        "spent": {
            "embedding_seconds": _seconds(counts["embedding_us"]),
            "embedding_seconds_without_price": _seconds(counts["embedding_us_without_price"]),
            "money": _money(counts, "spent/"),
        },
        "net": _net(counts),
        "latency": {
            "relative_error": RELATIVE_ERROR,
            **{what: _times(counts, f"latency/{what}", "ms") for what in ("hit", "collapsed", "miss", "bypass")},
            "stages": {name: _times(counts, f"stage/{name}", "ms") for name in _stages(counts)},
        },
        "served_age": _times(counts, "age", "s"),
    }


def shadow(counts: Tally) -> dict[str, Any]:
    """The figures of shadow mode. Would-be hits were forwarded: they are no part of the hit rate."""
    would, requests, compared = _under(counts, "shadow/would/"), counts["shadow/requests"], counts["shadow/compared"]
    hits = {kind.value: would[kind] for kind in Kind if kind is not Kind.MISS}
    return {
        "requests": requests,
        "would_be_hits": {"total": sum(hits.values()), **hits},
        "would_be_hit_rate": sum(hits.values()) / requests if requests else None,
        "kinds": _kinds(counts, "shadow/"),
        "compared": compared,
        "agreed": counts["shadow/agreed"],
        "disagreed": compared - counts["shadow/agreed"],
        "numbers_disagreed": counts["shadow/numbers_disagreed"],
        "would_have_saved": _saved(counts, "shadow/", compared),
    }


def step(counts: Tally) -> dict[str, Any]:
    """One step of a series."""
    hits, misses = _under(counts, "hit/"), _under(counts, "miss/")
    return {
        "requests": counts["requests"],
        "asked_of_cache": hits.total() + misses.total(),
        "hit_rate": _rate(hits, misses),
        "hits": {"total": hits.total(), **{name: hits[name] for name in _HITS}},
        "misses": misses.total(),
        "bypasses": _under(counts, "bypass/").total(),
        "asked_afresh": counts["afresh"],
        "shadow": counts["shadow/requests"],
        "errors": _under(counts, "error/").total(),
        "upstream_seconds_saved": _seconds(counts["upstream_us"]),
        "money": _money(counts, "money/"),
        "money_estimated": _money(counts, "money_estimated/"),
        "net": _net(counts),
        "latency": {
            what: {f"{p}_ms": _percentile(counts, f"latency/{what}", _SHARES[p], 1000) for p in ("p50", "p95")}
            for what in ("hit", "miss")
        },
    }


def _rate(hits: Counter[str], misses: Counter[str]) -> float | None:
    asked = hits.total() + misses.total()
    return hits.total() / asked if asked else None


def _saved(counts: Tally, prefix: str, calls: int) -> dict[str, Any]:
    money, estimated = _money(counts, f"{prefix}money/"), _money(counts, f"{prefix}money_estimated/")
    unknown = counts[f"{prefix}hits_without_price"]
    return {
        "calls": calls,
        "tokens_in": counts[f"{prefix}tokens_in"],
        "tokens_out": counts[f"{prefix}tokens_out"],
        "tokens_in_estimated": counts[f"{prefix}tokens_in_estimated"],
        "tokens_out_estimated": counts[f"{prefix}tokens_out_estimated"],
        "hits_with_unknown_tokens": counts[f"{prefix}hits_without_tokens"],
        "hits_with_estimated_tokens": counts[f"{prefix}hits_estimated"],
        "upstream_seconds": _seconds(counts[f"{prefix}upstream_us"]),
        "gpu_hours": counts[f"{prefix}gpu_us"] / _HOUR_US,
        "money": money or ("unknown" if unknown and not estimated else {}),
        "money_estimated": estimated,
        "hits_with_unknown_price": unknown,
    }


def _net(counts: Tally) -> dict[str, Any]:
    """Saved less spent, by currency. Not known while some of what was spent has no price."""
    saved, estimated, spent = (_under(counts, f"{what}/") for what in ("money", "money_estimated", "spent"))
    known = not counts["embedding_us_without_price"]

    def net(currency: str) -> dict[str, float | None]:
        counted = saved[currency] - spent[currency]
        both = counted + estimated[currency]
        return {"counted": counted / NANO if known else None, "with_estimates": both / NANO if known else None}

    return {currency: net(currency) for currency in sorted({*saved, *estimated, *spent})}


def _kinds(counts: Tally, prefix: str) -> dict[str, Any]:
    asked, hits = _under(counts, f"{prefix}kind/"), _under(counts, f"{prefix}kind_hit/")
    return {kind: {"requests": requests, "hits": hits[kind]} for kind, requests in asked.items()}


def _evidence(counts: Tally) -> dict[str, Any]:
    bins = _bins(counts, "evidence")
    pictures, middle = sum(bins.values()), percentile(bins, 0.5)
    return {
        "pictures": pictures,
        "bytes_mean": round(counts["evidence/sum"] / pictures) if pictures else None,
        "bytes_p50": None if middle is None else round(middle),
    }


def _times(counts: Tally, what: str, unit: str) -> dict[str, Any]:
    """A histogram of microseconds, in `unit`: s or ms."""
    per_unit = MICRO if unit == "s" else MICRO // 1000
    count = sum(_bins(counts, what).values())
    return {
        "count": count,
        f"mean_{unit}": round(counts[f"{what}/sum"] / count / per_unit, 6) if count else None,
        **{f"{name}_{unit}": _percentile(counts, what, share, per_unit) for name, share in _SHARES.items()},
    }


def _percentile(counts: Tally, what: str, share: float, per_unit: int) -> float | None:
    value = percentile(_bins(counts, what), share)
    return None if value is None else round(value / per_unit, 6)


def _bins(counts: Tally, what: str) -> dict[int, int]:
    return {int(number): count for number, count in _under(counts, f"{what}/bin/").items()}


def _stages(counts: Tally) -> list[str]:
    return sorted(key.removesuffix("/sum") for key in _under(counts, "stage/") if key.endswith("/sum"))


def _money(counts: Tally, prefix: str) -> dict[str, float]:
    return {currency: nano / NANO for currency, nano in _under(counts, prefix).items()}


def _seconds(micro: int) -> float:
    return micro / MICRO


def _under(counts: Mapping[str, int], prefix: str) -> Counter[str]:
    return Counter({key[len(prefix) :]: count for key, count in counts.items() if key.startswith(prefix)})

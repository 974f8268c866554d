"""What the overview shows: the ledger's figures (docs/stats.md) as words and as charts. Pure.

Nothing is counted here. A figure that the ledger does not know is said to be unknown, never shown as zero.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gateway.admin.dashboard import reasons
from gateway.admin.dashboard.words import Words
from gateway.sighting import Glimpse

Figures = Mapping[str, Any]  # a reply of /cache/stats, or a part of it

_BARS_MOST: Final = 8  # reasons in the chart; the list has all
_BARS_OF_TIME: Final = 30  # at the most: an hour each for a day, a day each for a month
_DIGITS_SHOWN: Final = 8  # of an entry's id
_PERCENTILES: Final = ("p50", "p90", "p95", "p99")
_CLASSES: Final = ("exact", "pixel", "near")


@dataclass(frozen=True, slots=True)
class Card:
    """One of the large numbers. `tone` is good, quiet or bad."""

    name: str
    value: str
    says: str
    tone: str = "good"
    note: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One reason, and how many requests had it."""

    reason: str
    short: str
    sentence: str
    count: int
    share: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What the operator should know before any number."""

    title: str
    says: str = ""
    tone: str = "quiet"


def cards(stats: Figures, judged: Figures, inspector: str, words: Words) -> list[Card]:
    """`judged` is a reply of /cache/feedback; `inspector` is where near hits can be judged."""
    hits, saved = stats["hits"], stats["saved"]
    rate_says = words("hit-rate-of", hits=words.number(hits["total"]), asked=words.number(stats["asked_of_cache"]))
    tokens = words.number(saved["tokens_in"] + saved["tokens_out"])
    return [
        Card(words("hit-rate"), words.percent(stats["hit_rate"]), rate_says),
        Card(words("calls"), words.number(saved["calls"]), words("calls-of", tokens=tokens)),
        _money(stats, words),
        Card(words("time"), words.seconds(saved["upstream_seconds"]), words("time-of")),
        _trust(judged, inspector, words),
    ]


def _trust(judged: Figures, inspector: str, words: Words) -> Card:
    """What people said of near hits. Of all time: it is a matter of trust, not of the last hour."""
    if not judged["judged_near"]:
        return Card(words("wrong"), "–", words("wrong-none"), "quiet", link=inspector)
    wrong = judged["wrong"].get("near", 0)
    says = words("wrong-of", judged=words.number(judged["judged_near"]))
    return Card(words("wrong"), words.number(wrong), says, "bad" if wrong else "good", link=inspector)


def _money(stats: Figures, words: Words) -> Card:
    saved, net = stats["saved"]["money"], stats.get("net") or {}
    if not isinstance(saved, Mapping) or not (saved or net):
        unknown = saved == "unknown" or stats.get("prices") == "unknown"
        if unknown:
            return Card(words("money"), words("money-unknown"), words("money-unknown-do"), "quiet")
        return Card(words("money"), "–", words("money-net"), "quiet")
    counted = {name: each["counted"] for name, each in net.items() if each is not None and each["counted"] is not None}
    shown, says = (counted, words("money-net")) if counted else (saved, words("money-gross"))
    estimated = {name: value for name, value in (stats["saved"].get("money_estimated") or {}).items() if value}
    note = words("money-estimated", value=_sums(estimated, words)) if estimated else None
    tone = "bad" if any(value < 0 for value in shown.values()) else "good"
    return Card(words("money"), _sums(shown, words), says, tone, note)


def _sums(money: Mapping[str, float], words: Words) -> str:
    return " + ".join(words.money(value, currency) for currency, value in money.items())


def rows(stats: Figures, words: Words) -> list[Row]:
    """Why requests were not answered from the cache, most first."""
    counts = dict(stats["misses"]["by_reason"]) | dict(stats["bypasses"]["by_reason"])
    if stats["asked_afresh"]:
        counts["no-cache"] = stats["asked_afresh"]
    whole = sum(counts.values())
    return [
        Row(
            reason,
            reasons.short(reason, words.lang),
            reasons.sentence(reason, words.lang),
            count,
            words.percent(count / whole),
        )
        for reason, count in sorted(counts.items(), key=lambda one: -one[1])
        if count
    ]


def notices(stats: Figures, mode: str, words: Words) -> list[Notice]:
    said = []
    shadow = stats["shadow"]
    if mode == "off":
        said.append(Notice(words("off-title"), words("off-says")))
    if mode == "shadow":
        would = shadow["would_be_hits"]["total"]
        says = words(
            "shadow-says",
            requests=words.number(shadow["requests"]),
            hits=words.number(would),
            rate=words.percent(shadow["would_be_hit_rate"]),
            compared=words.number(shadow["compared"]),
            agreed=words.number(shadow["agreed"]),
        )
        said.append(Notice(words("shadow-title"), says))
    match stats["embedder"]:
        case {"state": "loading"}:
            said.append(Notice(words("embedder-loading")))
        case {"state": "failed", "why": why}:
            said.append(Notice(words("embedder-failed", why=why), tone="bad"))
        case {"fallback": why}:
            said.append(Notice(words("embedder-fallback", why=why)))
    for name, queue in stats["webhooks"].items():
        if queue["trouble"] or queue["dropped"]:
            counts = {count: words.number(queue[count]) for count in ("queued", "set_aside", "dropped")}
            title = words("webhook-trouble", name=name, why=queue["trouble"] or words("webhook-was-full"))
            said.append(Notice(title, words("webhook-waits", **counts), "bad"))
    return said


@dataclass(frozen=True, slots=True)
class Line:
    """One recent request."""

    iso: str
    ago: str
    outcome: str
    says: str
    reason: str
    model: str
    took: str
    similarity: str
    entry: str


def line(one: Glimpse, now_s: float, words: Words) -> Line:
    return Line(
        iso=iso(one.time_s),
        ago=words.ago(now_s - one.time_s),
        outcome=one.outcome,
        says=words(one.outcome),
        reason=reasons.short(one.reason, words.lang) if one.reason else "",
        model=one.model or "",
        took=words.seconds(one.seconds),
        similarity="" if one.similarity is None else f"{one.similarity:.4f}",
        entry=(one.entry or "")[:_DIGITS_SHOWN],
    )


def state(stats: Figures, mode: str, version: str, words: Words) -> list[tuple[str, str]]:
    """The gateway at this moment."""
    store, embedder = stats["store"], stats["embedder"]
    size = f"{words.number(store['entries'])} · {words.bytes(store['bytes'])} / {words.bytes(store['bytes_max'])}"
    return [
        (words("mode"), mode),
        (words("embedder"), embedder.get("space", embedder["state"])),
        (words("stored"), size),
        (words("up"), words.span(stats["uptime_s"])),
        (words("version"), version),
    ]


def iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def faster(stats: Figures, words: Words) -> str:
    """The medians of hits and misses in one sentence; empty while there are not both."""
    latency = stats["latency"]
    hit, miss = (latency.get(name, {}).get("p50_ms") for name in ("hit", "miss"))
    if not hit or not miss:
        return ""
    times = miss / hit
    said = f"{times:.0f}" if times >= 9.5 else f"{times:.1f}"
    return words("chart-latency-faster", hit=words.milliseconds(hit), miss=words.milliseconds(miss), times=said)


def charts(stats: Figures, series: Figures, words: Words) -> dict[str, Any]:
    """What the charts draw; labels of time are made in the browser, which knows its time zone."""
    buckets: Sequence[Figures] = series["buckets"]
    currency = _currency(buckets)
    step_s = _step_s(series["step_s"], len(buckets))
    bars = _merged(buckets, step_s)
    reasons_shown = rows(stats, words)[:_BARS_MOST]
    return {
        "step_s": step_s,
        "starts": [bar.start for bar in bars],
        "requests": {
            "bars": [[words(name), [bar.hits[name] for bar in bars]] for name in _CLASSES]
            + [[words("miss"), [bar.misses for bar in bars]]],
            "rate": [words("hit-rate"), [bar.rate for bar in bars]],
        },
        "saved": {
            "of": "money" if currency else "time",
            "unit": currency or words("seconds"),
            "values": [bar.money.get(currency, 0.0) if currency else bar.seconds for bar in bars],
        },
        "latency": {
            "names": [words(figure) for figure in _PERCENTILES],
            "bars": [
                [words(outcome), [stats["latency"].get(outcome, {}).get(f"{figure}_ms") for figure in _PERCENTILES]]
                for outcome in ("hit", "miss")
            ],
        },
        "reasons": [[row.short for row in reasons_shown], [row.count for row in reasons_shown]],
        "words": {"requests": words("requests")},
    }


@dataclass(slots=True)
class _Bar:
    """Steps of the series, added up."""

    start: int
    hits: Counter[str] = field(default_factory=Counter)
    misses: int = 0
    seconds: float = 0.0
    money: Counter[str] = field(default_factory=Counter)  # net where that is known

    @property
    def rate(self) -> float | None:
        """Hits of what the cache was asked for, percent; None if nothing was."""
        hits = self.hits.total()
        return round(100 * hits / (hits + self.misses), 1) if hits + self.misses else None


def _step_s(step_s: int, steps: int) -> int:
    """The shortest step with which the bars are wide enough to be told apart."""
    return next((step_s * many for many in (1, 2, 3, 4, 6, 7, 12, 24) if steps <= _BARS_OF_TIME * many), step_s * 30)


def _merged(buckets: Sequence[Figures], step_s: int) -> list[_Bar]:
    bars: dict[int, _Bar] = {}
    for bucket in buckets:
        start = bucket["start"] - bucket["start"] % step_s
        bar = bars.setdefault(start, _Bar(start))
        bar.hits.update({name: bucket["hits"][name] for name in _CLASSES})
        bar.misses += bucket["misses"]
        bar.seconds += bucket["upstream_seconds_saved"]
        for currency, saved in bucket["money"].items():
            counted = (bucket["net"].get(currency) or {}).get("counted")
            bar.money[currency] += saved if counted is None else counted
    return list(bars.values())


def _currency(buckets: Sequence[Figures]) -> str | None:
    """The currency in which most steps saved something; one chart has one unit."""
    found = Counter(currency for bucket in buckets for currency in bucket["money"])
    return found.most_common(1)[0][0] if found else None

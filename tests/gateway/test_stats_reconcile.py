"""Statistics against an independent count: five thousand random requests over five weeks, every number exact.

The count here is made the plain way: it keeps every request and, for each question, looks at all of them. It knows
nothing of buckets, tallies and histograms; money and seconds are fractions, as exact as they can be.
"""

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from cache.verdict import Doubt
from gateway.account import Account, Prices, Shared, Trail
from gateway.ledger import Ledger
from gateway.metrics import Metrics
from gateway.names import By, Window
from gateway.price import EmbeddingPrice, Price
from gateway.question import Alone, Bypass, Unstored, Usage
from gateway.shadow import Agreement, Kind, Observation, WouldServe
from tests.contracts.store_contract import Clock, record

REQUESTS = 5_000
BEGIN, SPAN_S = 1_766_059_200.0, 35 * 86_400
PRICES = {
    "by-token": Price(input_per_million=2, output_per_million=8, currency="CNY"),
    "by-hour": Price(per_upstream_hour=3.6, gpus=2, currency="USD"),
}
EMBEDDING = EmbeddingPrice(per_hour=7.2, currency="CNY")
MODELS = ["by-token", "by-hour", "without-price"]
STAGES = ["read", "decode", "embed", "guard", "upstream"]
ERRORS = ["client-gone", "upstream_timeout", "upstream-cut-short"]
ENTRY = record("a").entry
LENGTHS_S = {Window.HOUR: 3600, Window.DAY: 86_400, Window.WEEK: 7 * 86_400, Window.MONTH: 30 * 86_400}


@dataclass(frozen=True)
class Told:
    """A request as the independent count keeps it."""

    ended_s: float
    trail: Trail
    hit_class: str
    seconds: Fraction


def requests(chance: random.Random) -> list[Told]:
    times = sorted(BEGIN + chance.randrange(SPAN_S * 1000) / 1000 for _ in range(REQUESTS // 2))
    # As many again in the last two hours, so that the short windows hold something.
    last = sorted(BEGIN + SPAN_S - chance.randrange(7_200_000) / 1000 for _ in range(REQUESTS - len(times)))
    return [told(chance, time_s) for time_s in sorted([*times, *last])]


def told(chance: random.Random, ended_s: float) -> Told:
    hit_class = chance.choice(["exact", "pixel", "near", "miss", "miss", "bypass", "afresh", "shadow", "unread"])
    micros = chance.randrange(1, 20_000_000)
    trail = Trail("POST", "/v1/chat/completions", 0.0, status=200, ended_s=micros / 1e6)
    if hit_class != "unread":
        trail.dialect, trail.tenant = chance.choice([None, "openai-chat"]), chance.choice(["t1", "t2"])
        trail.model, trail.kinds = chance.choice(MODELS), chance.choice([(), ("reading",), ("reading", "colour")])
    FATES[hit_class](chance, trail, ended_s)
    trail.stages_s = {name: chance.randrange(1, 10**6) / 1e6 for name in STAGES if chance.random() < 0.3}
    trail.embedding_s = chance.choice([0, 0, chance.randrange(1, 10**6) / 1e6])
    trail.error = chance.choice([None] * 9 + ERRORS)
    return Told(ended_s, trail, hit_class if trail.hit is None else trail.hit, Fraction(micros, 10**6))


def as_hit(kind: str) -> Any:
    def fate(chance: random.Random, trail: Trail, ended_s: float) -> None:
        tokens = chance.choice([(None, None), (chance.randrange(2000), chance.randrange(500)), (5, None)])
        created_s, upstream_s = ended_s - chance.randrange(10**6), chance.randrange(10**7) / 1e6
        model = str(trail.model)
        if chance.random() < 0.3:  # a follower's: it has no entry
            trail.collapsed, trail.rung = True, kind
            trail.given(Shared(Usage(*tokens), upstream_s))
            trail.estimated = Usage(7, None) if tokens[0] is None else Usage(None, None)
            return
        facts = {"tokens_in": tokens[0], "tokens_out": tokens[1], "created_s": created_s, "upstream_s": upstream_s}
        trail.hit, trail.entry = kind, replace(ENTRY, model=model, **facts)
        if None in tokens and chance.random() < 0.7:
            trail.estimated = Usage(7 if tokens[0] is None else None, 3 if tokens[1] is None else None)

    return fate


def as_miss(chance: random.Random, trail: Trail, ended_s: float) -> None:
    trail.doubt, trail.alone = chance.choice(list(Doubt)), chance.choice([None, None, *Alone])
    if chance.random() < 0.5:
        trail.stored, trail.evidence_bytes = "id", tuple(chance.randrange(1, 10**5) for _ in range(chance.randrange(3)))
    else:
        trail.unstored = chance.choice(list(Unstored))


def as_bypass(chance: random.Random, trail: Trail, ended_s: float) -> None:
    trail.bypass = chance.choice([why for why in Bypass if why is not Bypass.SHADOW])


def as_afresh(chance: random.Random, trail: Trail, ended_s: float) -> None:
    trail.requested = "no-cache"


def as_shadow(chance: random.Random, trail: Trail, ended_s: float) -> None:
    kind = chance.choice(list(Kind))
    trail.bypass = Bypass.SHADOW
    trail.shadow = WouldServe(kind, "q", Doubt.STALE if kind is Kind.MISS else None)
    if kind is not Kind.MISS and chance.random() < 0.7:
        agreement = Agreement(chance.random() < 0.5, 0.9, chance.random() < 0.5, 10, 10)
        tokens = chance.choice([(None, None), (100, 10)])
        upstream_s = chance.randrange(10**7) / 1e6
        seen = (ended_s, str(trail.model), "openai-chat", "q", 1, kind, None, None, None, None, None)
        trail.observed = Observation(*seen, *tokens, upstream_s, None, None, None, agreement, ())


FATES = {
    **{kind: as_hit(kind) for kind in ("exact", "pixel", "near")},
    "miss": as_miss,
    "bypass": as_bypass,
    "afresh": as_afresh,
    "shadow": as_shadow,
    "unread": lambda chance, trail, ended_s: None,
}

# The independent count.


def micro(seconds: float) -> Fraction:
    return Fraction(round(seconds * 10**6), 10**6)


def money(model: str, tokens: tuple[int | None, int | None], upstream_s: float) -> tuple[str, Fraction] | None:
    """To a billionth of the currency's unit, as docs/stats.md has it."""
    if model == "by-hour":
        return "USD", round(Fraction("3.6") * micro(upstream_s) / 3600 * 10**9) / Fraction(10**9)
    if model == "by-token" and None not in tokens:
        return "CNY", Fraction(2 * (tokens[0] or 0) + 8 * (tokens[1] or 0), 10**6)
    return None


def saved(all_saved: list[tuple[str, tuple[Any, Any], tuple[Any, Any], float]]) -> dict[str, Any]:
    """Of each: its model, tokens counted and estimated, and upstream seconds."""
    sure: Counter[str] = Counter()
    guessed: Counter[str] = Counter()
    unknown = 0
    for model, counted, estimated, upstream_s in all_saved:
        both = tuple(one if one is not None else other for one, other in zip(counted, estimated, strict=True))
        if found := money(model, counted, upstream_s):
            sure[found[0]] += found[1]  # type: ignore[assignment]
        elif found := money(model, both, upstream_s):  # type: ignore[arg-type]
            guessed[found[0]] += found[1]  # type: ignore[assignment]
        else:
            unknown += 1
    return {
        "calls": len(all_saved),
        "tokens_in": sum(counted[0] or 0 for _, counted, _, _ in all_saved),
        "tokens_out": sum(counted[1] or 0 for _, counted, _, _ in all_saved),
        "tokens_in_estimated": sum(estimated[0] or 0 for _, _, estimated, _ in all_saved),
        "tokens_out_estimated": sum(estimated[1] or 0 for _, _, estimated, _ in all_saved),
        "hits_with_unknown_tokens": sum(counted == (None, None) for _, counted, _, _ in all_saved),
        "hits_with_estimated_tokens": sum(estimated != (None, None) for _, _, estimated, _ in all_saved),
        "upstream_seconds": float(sum(micro(upstream_s) for *_, upstream_s in all_saved)),
        "gpu_hours": float(sum(2 * micro(seconds) / 3600 for model, *_, seconds in all_saved if model == "by-hour")),
        "money": plain(sure) or ("unknown" if unknown and not guessed else {}),
        "money_estimated": plain(guessed),
        "hits_with_unknown_price": unknown,
    }


def plain(amounts: Counter[str]) -> dict[str, float]:
    return {currency: float(amount) for currency, amount in amounts.items()}


def exact(report: list[Told]) -> dict[str, Any]:
    hits = [one for one in report if one.hit_class in ("exact", "pixel", "near")]
    misses = [one for one in report if one.hit_class == "miss"]
    shadow = [one.trail for one in report if one.hit_class == "shadow"]
    asked = hits + misses
    kinds = sorted({kind for one in asked for kind in one.trail.kinds})
    sizes = [size for one in report if one.trail.stored for size in one.trail.evidence_bytes]
    return {
        "requests": len(report),
        "asked_of_cache": len(asked),
        "hits": {"total": len(hits), **{kind: count(hits, kind) for kind in ("exact", "pixel", "near")}},
        "hit_rate": len(hits) / len(asked) if asked else None,
        "misses": {"total": len(misses), "by_reason": dict(Counter(one.trail.doubt for one in misses))},
        "collapsed": {
            "total": sum(one.trail.shared is not None for one in hits),
            "in_vain": dict(Counter(one.trail.alone for one in report if one.trail.alone)),
        },
        "kinds": {
            kind: {
                "requests": sum(kind in one.trail.kinds for one in asked),
                "hits": sum(kind in one.trail.kinds for one in hits),
            }
            for kind in kinds
        },
        "asked_afresh": count(report, "afresh"),
        "bypasses": {
            "total": count(report, "bypass"),
            "by_reason": dict(Counter(one.trail.bypass for one in report if one.hit_class == "bypass")),
        },
        "errors": dict(Counter(one.trail.error for one in report if one.trail.error)),
        "stored": sum(one.trail.stored is not None for one in report),
        "not_stored": dict(Counter(one.trail.unstored for one in report if one.trail.unstored)),
        "let_go": {"evicted": 0, "expired": 0},
        "saved": saved([hit_facts(one.trail) for one in hits]),
        "spent": {
            "embedding_seconds": float(sum(micro(one.trail.embedding_s) for one in report)),
            "embedding_seconds_without_price": 0.0,
            "money": plain(spent(report)),
        },
        "shadow": exact_shadow(shadow),
        "evidence_pictures": len(sizes),
        "evidence_mean": round(sum(sizes) / len(sizes)) if sizes else None,
    }


def count(report: list[Told], hit_class: str) -> int:
    return sum(one.hit_class == hit_class for one in report)


def hit_facts(trail: Trail) -> tuple[str, tuple[Any, Any], tuple[Any, Any], float]:
    entry, estimated, shared = trail.entry, trail.estimated, trail.shared
    if shared is not None:
        counted = (shared.usage.tokens_in, shared.usage.tokens_out)
        return str(trail.model), counted, (estimated.tokens_in, estimated.tokens_out), shared.upstream_s
    assert entry is not None
    counted = (entry.tokens_in, entry.tokens_out)
    return entry.model, counted, (estimated.tokens_in, estimated.tokens_out), entry.upstream_s


def spent(report: list[Told]) -> Counter[str]:
    worked = [micro(one.trail.embedding_s) for one in report if one.trail.embedding_s]
    total = sum(round(Fraction("7.2") * seconds / 3600 * 10**9) / Fraction(10**9) for seconds in worked)
    return Counter({"CNY": total} if worked else {})  # type: ignore[dict-item]


def exact_shadow(trails: list[Trail]) -> dict[str, Any]:
    would = Counter(trail.shadow.kind for trail in trails if trail.shadow)
    hits = {kind: would[kind] for kind in (Kind.EXACT, Kind.PIXEL, Kind.NEAR)}
    kinds = sorted({kind for trail in trails for kind in trail.kinds})
    compared = [trail.observed for trail in trails if trail.observed]
    agreements = [seen.agreement for seen in compared if seen.agreement]
    facts = [(seen.model, (seen.tokens_in, seen.tokens_out), (None, None), seen.upstream_s) for seen in compared]
    return {
        "requests": len(trails),
        "would_be_hits": {"total": sum(hits.values()), **hits},
        "would_be_hit_rate": sum(hits.values()) / len(trails) if trails else None,
        "kinds": {
            kind: {
                "requests": sum(kind in trail.kinds for trail in trails),
                "hits": sum(
                    kind in trail.kinds for trail in trails if trail.shadow and trail.shadow.kind is not Kind.MISS
                ),
            }
            for kind in kinds
        },
        "compared": len(compared),
        "agreed": sum(one.same for one in agreements),
        "disagreed": sum(not one.same for one in agreements),
        "numbers_disagreed": sum(not one.numbers_agree for one in agreements),
        "would_have_saved": saved(facts),
    }


def same(figures: dict[str, Any], report: list[Told], by: By | None = None) -> None:
    expected = exact(report)
    assert figures["evidence"]["pictures"] == expected.pop("evidence_pictures")
    assert figures["evidence"]["bytes_mean"] == expected.pop("evidence_mean")
    for name in expected:
        assert figures[name] == expected[name], name
    check_net(figures, report)
    hits = [one for one in report if one.hit_class in ("exact", "pixel", "near")]
    check_times(figures["latency"]["hit"], [one for one in hits if one.trail.shared is None])
    check_times(figures["latency"]["collapsed"], [one for one in hits if one.trail.shared is not None])
    check_times(figures["latency"]["miss"], [one for one in report if one.hit_class == "miss"])
    check_times(figures["latency"]["bypass"], [one for one in report if one.hit_class == "bypass"])
    if by not in (None, By.HIT_CLASS, By.MODEL):
        assert figures["latency"]["stages"] == {}
        return
    for stage in STAGES:
        values = [micro(one.trail.stages_s[stage]) for one in report if stage in one.trail.stages_s]
        found = figures["latency"]["stages"].get(stage, {"count": 0})
        assert found["count"] == len(values)
        check_values(found, values)


def check_net(figures: dict[str, Any], report: list[Told]) -> None:
    sure, guessed = Counter(figures["saved"]["money"]), Counter(figures["saved"]["money_estimated"])
    if figures["saved"]["money"] == "unknown":
        sure = Counter()
    cost = figures["spent"]["money"]
    for currency, net in figures["net"].items():
        counted = sure[currency] - cost.get(currency, 0)
        assert net["counted"] == pytest.approx(counted, abs=1e-12)
        assert net["with_estimates"] == pytest.approx(counted + guessed[currency], abs=1e-12)
    assert figures["net"].keys() == {*sure, *guessed, *cost}


def check_times(found: dict[str, Any], of: list[Told]) -> None:
    assert found["count"] == len(of)
    check_values(found, [one.seconds for one in of])


def check_values(found: dict[str, Any], values: list[Fraction]) -> None:
    """Means are exact to the nanosecond that is shown, percentiles within the stated error."""
    if not values:
        return
    assert found["mean_ms"] == pytest.approx(float(sum(values) / len(values) * 1000), abs=1e-6)
    for name, share in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        nearest = float(sorted(values)[math.ceil(share * len(values)) - 1] * 1000)
        assert found[name] == pytest.approx(nearest, rel=0.0251), name


def names_of(one: Told, by: By) -> tuple[str, ...]:
    trail = one.trail
    match by:
        case By.HIT_CLASS:
            return (one.hit_class,)
        case By.MODEL:
            return (trail.model or "none",)
        case By.TENANT:
            return (trail.tenant or "none",)
        case By.DIALECT:
            return (trail.dialect or "none",)
        case By.REASON:
            hit = "hit" if trail.hit else "none"
            return (str(trail.requested or trail.bypass or trail.doubt or hit),)
        case By.KIND:
            return trail.kinds or ("none",)


@pytest.fixture(scope="module", params=[1, 2])
def told_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five thousand requests, their ledger, written now and then and opened anew in between, and their metrics."""
    chance, clock, metrics = random.Random(request.param), Clock(BEGIN), Metrics()
    file: Path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    ledger, all_of_them = Ledger(file, clock), requests(chance)
    for one in all_of_them:
        clock.now_s = one.ended_s
        Account(Prices(PRICES.get, EMBEDDING), clock, clock, [ledger.count, metrics.count]).close_trail(one.trail)
        if chance.random() < 0.02:
            ledger.write()
        if chance.random() < 0.002:
            ledger.close()
            ledger = Ledger(file, clock)
    clock.now_s = BEGIN + SPAN_S
    yield all_of_them, ledger, metrics
    ledger.close()


def test_everything_ever_counted_is_exact(told_all: Any) -> None:
    report, ledger, _ = told_all

    assert len(report) == REQUESTS
    same(ledger.report_now(), report)


@pytest.mark.parametrize("by", list(By))
def test_every_group_is_exact(told_all: Any, by: By) -> None:
    report, ledger, _ = told_all
    groups = ledger.report_now(by=by)["groups"]["values"]

    assert {group["name"] for group in groups} == {name for one in report for name in names_of(one, by)}
    for group in groups:
        same(group, [one for one in report if group["name"] in names_of(one, by)], by)


@pytest.mark.parametrize("window", [window for window in Window if window is not Window.ALL])
def test_every_window_is_exact_and_so_are_its_models(told_all: Any, window: Window) -> None:
    report, ledger, _ = told_all
    figures = ledger.report_now(window, By.MODEL)
    inside = [one for one in report if one.ended_s >= figures["window"]["from"]]

    assert BEGIN + SPAN_S - figures["window"]["from"] >= LENGTHS_S[window]
    same(figures, inside)
    for group in figures["groups"]["values"]:
        same(group, [one for one in inside if group["name"] in names_of(one, By.MODEL)])


@pytest.mark.parametrize("window", list(Window))
def test_every_step_of_every_series_is_exact(told_all: Any, window: Window) -> None:
    report, ledger, _ = told_all
    series = ledger.series_now(window)
    for bucket in series["buckets"]:
        inside = [one for one in report if 0 <= one.ended_s - bucket["start"] < series["step_s"]]
        expected = exact(inside)
        for name in ("requests", "asked_of_cache", "hit_rate", "hits", "asked_afresh"):
            assert bucket[name] == expected[name], name
        assert (bucket["misses"], bucket["bypasses"]) == (expected["misses"]["total"], expected["bypasses"]["total"])
        assert (bucket["shadow"], bucket["errors"]) == (
            expected["shadow"]["requests"],
            sum(expected["errors"].values()),
        )
        assert bucket["upstream_seconds_saved"] == expected["saved"]["upstream_seconds"]
        assert bucket["money_estimated"] == expected["saved"]["money_estimated"]
        known = expected["saved"]["money"]
        assert bucket["money"] == ({} if known == "unknown" else known)


def test_the_metrics_say_the_same(told_all: Any) -> None:
    from prometheus_client import generate_latest

    report, _, metrics = told_all
    samples = [sample for family in parsed(generate_latest(metrics.registry).decode()) for sample in family.samples]

    def total(name: str, **labels: str) -> float:
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def by_label(name: str, label: str) -> dict[str, float]:
        return {s.labels[label]: s.value for s in samples if s.name == name and s.value}

    expected, priced = exact(report), exact(report)["saved"]
    for hit_class in ("exact", "pixel", "near", "bypass", "miss", "afresh", "shadow", "unread"):
        assert total("lookalike_requests_total", hit_class=hit_class) == count(report, hit_class)
        alone = [one for one in report if one.hit_class == hit_class and one.trail.shared is None]
        assert total("lookalike_request_seconds_count", hit_class=hit_class) == len(alone)
    assert total("lookalike_request_seconds_count", hit_class="collapsed") == expected["collapsed"]["total"]
    assert total("lookalike_collapsed_total") == expected["collapsed"]["total"]
    assert by_label("lookalike_not_collapsed_total", "reason") == expected["collapsed"]["in_vain"]
    for model in MODELS:
        assert total("lookalike_requests_total", model=model) == sum(one.trail.model == model for one in report)
    assert by_label("lookalike_misses_total", "reason") == expected["misses"]["by_reason"]
    assert by_label("lookalike_bypasses_total", "reason") == expected["bypasses"]["by_reason"]
    assert by_label("lookalike_errors_total", "code") == expected["errors"]
    assert by_label("lookalike_unstored_total", "reason") == expected["not_stored"]
    assert by_label("lookalike_shadow_requests_total", "would_be") == Counter(
        one.trail.shadow.kind for one in report if one.trail.shadow
    )
    assert total("lookalike_stored_total") == expected["stored"]
    assert total("lookalike_saved_without_price_total") == priced["hits_with_unknown_price"]
    for direction in ("in", "out"):
        for basis, name in (("counted", f"tokens_{direction}"), ("estimated", f"tokens_{direction}_estimated")):
            assert total("lookalike_saved_tokens_total", direction=direction, basis=basis) == priced[name]
    for basis, name in (("counted", "money"), ("estimated", "money_estimated")):
        for currency, amount in priced[name].items():
            found = total("lookalike_saved_money_total", currency=currency, basis=basis)
            assert found == pytest.approx(amount, abs=1e-6)
    assert total("lookalike_spent_money_total") == pytest.approx(expected["spent"]["money"]["CNY"], abs=1e-6)
    assert total("lookalike_saved_upstream_seconds_total") == pytest.approx(priced["upstream_seconds"], abs=1e-3)
    assert total("lookalike_saved_gpu_seconds_total") == pytest.approx(priced["gpu_hours"] * 3600, abs=1e-3)

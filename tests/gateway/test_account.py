import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.entry import Entry
from cache.lookup import Exact, Near, Pixel
from cache.verdict import Doubt
from gateway.account import Account, Prices, Trail
from gateway.ledger import Ledger
from gateway.price import EmbeddingPrice, Price
from gateway.question import Bypass, Unstored, Usage
from tests.contracts.store_contract import Clock, record
from tests.examples import examples

BY_TOKEN = Price(input_per_million=1_000, output_per_million=10_000, currency="EUR")
BY_HOUR = Price(per_upstream_hour=3_600, currency="USD")
ENTRY = record("a", created_s=900.0, expires_s=2_000.0, tokens_in=100, tokens_out=10, upstream_s=2.5).entry


class Kept(Account):
    """An account over a ledger in memory."""

    def __init__(self, prices: Prices) -> None:
        self.clock = Clock()
        self.ledger = Ledger(None, self.clock)
        super().__init__(prices, self.clock, self.clock, [self.ledger.count])

    def report(self) -> dict[str, Any]:
        return self.ledger.report_now()


def account(price: Price | None = None) -> Kept:
    return Kept(Prices(lambda model: price))


def trail(**facts: Any) -> Trail:
    made = Trail("POST", "/v1/chat/completions", 1_000.0)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def hit(entry: Entry = ENTRY, kind: str = "exact") -> Trail:
    return trail(hit=kind, entry=entry, model=entry.model)


def saved(price: Price | None, *entries: Entry) -> dict[str, Any]:
    kept = account(price)
    for entry in entries:
        kept.close_trail(hit(entry))
    found: dict[str, Any] = kept.report()["saved"]
    return found


# One trail


@pytest.mark.parametrize(
    ("found", "kind", "similarity"),
    [
        (Exact(ENTRY, b""), "exact", None),
        (Pixel(ENTRY, b""), "pixel", None),
        (Near(ENTRY, b"", similarity=0.97, score=0.2), "near", 0.97),
    ],
)
def test_a_hit_is_told_by_its_class(found: Exact | Pixel | Near, kind: str, similarity: float | None) -> None:
    told = trail()
    told.found(found)

    assert (ENTRY, kind, similarity) == (told.entry, told.hit, told.similarity)
    assert f"lookalike; hit; ttl=1000; detail={kind}" == told.cache_status(now_s=1_000.0)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, "lookalike; fwd=miss"),
        ({"doubt": Doubt.FIRST_ASKED}, "lookalike; fwd=miss; detail=first-asked"),
        ({"doubt": Doubt.STALE}, "lookalike; fwd=stale; detail=stale"),
        ({"bypass": Bypass.NO_PICTURE}, "lookalike; fwd=bypass; detail=no-picture"),
        ({"requested": "no-cache"}, "lookalike; fwd=request; detail=no-cache"),
    ],
)
def test_cache_status_says_why_a_request_was_forwarded(facts: dict[str, Any], status: str) -> None:
    assert status == trail(**facts).cache_status(now_s=1_000.0)


def test_the_log_line_says_what_happened_and_leaves_out_what_did_not() -> None:
    line = trail(doubt=Doubt.NEW_PICTURE, similarity=0.912345, status=200, pictures=2).line(seconds=0.01234)

    assert line == {
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "cache": "miss",
        "reason": "new-picture",
        "ms": 12.3,
        "pictures": 2,
        "similarity": 0.9123,
    }
    assert trail(bypass=Bypass.NO_PICTURE).line(0)["cache"] == "bypass"
    assert trail(bypass=Bypass.NO_PICTURE, error="upstream_timeout").line(0)["cache"] == "error"
    assert hit(kind="near").line(0)["cache"] == "near"


def test_a_stage_counts_every_time_it_is_entered_even_if_it_fails() -> None:
    told, clock = trail(), Clock()

    def fail_after(seconds: float) -> None:
        with told.stage("look", clock):
            clock.now_s += seconds
            raise ZeroDivisionError

    for seconds in (1, 2):
        with pytest.raises(ZeroDivisionError):
            fail_after(seconds)

    assert told.stages_s == {"look": 3.0}
    assert told.line(0)["stages_ms"] == {"look": 3000.0}


def test_each_request_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lookalike.access"):
        account().close_trail(hit())

    (line,) = caplog.records
    assert line.facts["cache"] == "exact"  # type: ignore[attr-defined]


# All trails

REASONS: list[Callable[[], Trail]] = [
    *(lambda kind=kind: hit(kind=kind) for kind in ("exact", "pixel", "near")),
    *(lambda doubt=doubt: trail(doubt=doubt) for doubt in Doubt),
    *(lambda bypass=bypass: trail(bypass=bypass) for bypass in Bypass),
    *(lambda why=why: trail(doubt=Doubt.FIRST_ASKED, unstored=why) for why in Unstored),
    lambda: trail(doubt=Doubt.NEW_PICTURE, stored="id"),
    lambda: trail(requested="no-cache"),
    lambda: trail(error="client-gone"),
    lambda: trail(doubt=Doubt.FIRST_ASKED, error="upstream_timeout"),
    lambda: trail(bypass=Bypass.NO_DIALECT, error="upstream_unreachable"),
]


@examples(60)
@given(st.lists(st.sampled_from(REASONS), max_size=30))
def test_the_counts_reconcile_whatever_happened(happened: list[Callable[[], Trail]]) -> None:
    trails = [make() for make in happened]
    kept = account(BY_TOKEN)
    for told in trails:
        kept.close_trail(told)
    report = kept.report()
    hits, misses, bypasses = report["hits"], report["misses"], report["bypasses"]
    unread = sum(told.reason is None and told.entry is None for told in trails)

    assert (
        len(trails)
        == report["requests"]
        == hits["total"] + misses["total"] + bypasses["total"] + unread + report["asked_afresh"]
    )
    assert hits["total"] == hits["exact"] + hits["pixel"] + hits["near"] == report["saved"]["calls"]
    assert misses["total"] == sum(misses["by_reason"].values())
    assert bypasses["total"] == sum(bypasses["by_reason"].values())
    assert report["asked_of_cache"] == hits["total"] + misses["total"]
    assert report["hit_rate"] == (hits["total"] / report["asked_of_cache"] if report["asked_of_cache"] else None)
    assert sum(report["errors"].values()) == sum(told.error is not None for told in trails)
    assert report["stored"] == sum(told.stored is not None for told in trails)
    assert sum(report["not_stored"].values()) == sum(told.unstored is not None for told in trails)
    assert report["saved"]["upstream_seconds"] == pytest.approx(2.5 * hits["total"])


def test_a_bypass_is_no_part_of_the_hit_rate() -> None:
    kept = account()
    for told in (hit(), trail(doubt=Doubt.STALE), *[trail(bypass=Bypass.NO_PICTURE)] * 8):
        kept.close_trail(told)

    assert kept.report()["hit_rate"] == 0.5
    assert kept.report()["bypasses"]["by_reason"] == {"no-picture": 8}


def test_kinds_of_question_are_counted_where_the_cache_was_asked() -> None:
    kept = account()
    found = hit()
    found.kinds = ("reading", "colour")
    missed = trail(doubt=Doubt.STALE, kinds=("reading",))
    for told in (found, missed, hit(), trail(bypass=Bypass.MODE_OFF, kinds=("reading",))):
        kept.close_trail(told)

    assert kept.report()["kinds"] == {"reading": {"requests": 2, "hits": 1}, "colour": {"requests": 1, "hits": 1}}
    assert found.line(0)["kinds"] == "reading,colour"


def test_the_bytes_kept_of_pictures_have_a_mean_and_a_median() -> None:
    kept = account()
    for sizes in ((10,), (20, 60), ()):
        kept.close_trail(trail(stored="id", evidence_bytes=sizes))
    kept.close_trail(trail(evidence_bytes=(9_000,)))  # not stored after all

    evidence = kept.report()["evidence"]
    assert (evidence["pictures"], evidence["bytes_mean"]) == (3, 30)
    assert evidence["bytes_p50"] == pytest.approx(20, rel=0.05)


def test_the_report_is_json() -> None:
    kept = account(BY_TOKEN)
    for make in REASONS:
        kept.close_trail(make())

    assert json.loads(json.dumps(kept.report())) == kept.report()


# Money


def test_money_is_what_the_upstream_would_have_cost() -> None:
    assert {"EUR": pytest.approx(0.4)} == saved(BY_TOKEN, ENTRY, ENTRY)["money"]
    assert {"USD": pytest.approx(5.0)} == saved(BY_HOUR, ENTRY, ENTRY)["money"]


def test_unknown_money_is_unknown_and_never_zero() -> None:
    uncounted = replace(ENTRY, tokens_out=None)

    assert saved(None, ENTRY)["money"] == "unknown"
    assert saved(BY_TOKEN, uncounted)["money"] == "unknown"
    assert saved(BY_TOKEN, uncounted)["hits_with_unknown_price"] == 1


def test_before_the_first_hit_no_money_is_unknown() -> None:
    assert saved(None)["money"] == {}
    assert saved(None)["hits_with_unknown_price"] == 0


def test_hits_without_a_price_are_counted_beside_those_with_one() -> None:
    found = saved(BY_TOKEN, ENTRY, replace(ENTRY, tokens_in=None, tokens_out=None))

    assert {"EUR": pytest.approx(0.2)} == found["money"]
    assert (found["hits_with_unknown_price"], found["hits_with_unknown_tokens"]) == (1, 1)
    assert (found["tokens_in"], found["tokens_out"]) == (100, 10)


def test_each_currency_is_counted_by_itself() -> None:
    prices = {"a": BY_TOKEN, "b": BY_HOUR}
    kept = Kept(Prices(prices.get))
    for model in ("a", "b", "a", "c"):
        kept.close_trail(hit(replace(ENTRY, model=model)))

    assert {"EUR": pytest.approx(0.4), "USD": pytest.approx(2.5)} == kept.report()["saved"]["money"]


def test_money_by_estimated_tokens_is_kept_apart_and_marked() -> None:
    kept = account(BY_TOKEN)
    streamed = hit(replace(ENTRY, tokens_in=None, tokens_out=None))
    streamed.estimated = Usage(100, 10)
    for told in (streamed, hit()):
        kept.close_trail(told)
    found = kept.report()["saved"]

    assert (found["tokens_in"], found["tokens_out"]) == (100, 10)
    assert (found["tokens_in_estimated"], found["tokens_out_estimated"]) == (100, 10)
    assert (found["hits_with_unknown_tokens"], found["hits_with_estimated_tokens"]) == (1, 1)
    assert (found["money"], found["money_estimated"]) == ({"EUR": 0.2}, {"EUR": 0.2})
    assert found["hits_with_unknown_price"] == 0


def test_a_price_by_the_hour_needs_no_tokens_and_counts_gpu_hours() -> None:
    kept = account(Price(per_upstream_hour=3_600, gpus=4, currency="USD"))
    kept.close_trail(hit(replace(ENTRY, tokens_in=None, tokens_out=None, upstream_s=1_800.0)))
    found = kept.report()["saved"]

    assert (found["money"], found["money_estimated"], found["gpu_hours"]) == ({"USD": 1_800.0}, {}, 2.0)


def test_money_is_that_of_the_prices_in_force_when_it_was_saved() -> None:
    prices: dict[str, Price] = {ENTRY.model: BY_TOKEN}
    kept = Kept(Prices(prices.get))
    kept.close_trail(hit())
    prices[ENTRY.model] = Price(input_per_million=2_000, output_per_million=20_000, currency="EUR")
    kept.close_trail(hit())

    assert kept.report()["saved"]["money"] == {"EUR": pytest.approx(0.2 + 0.4)}


def test_what_the_embedder_costs_is_taken_off() -> None:
    kept = Kept(Prices(lambda model: BY_TOKEN, EmbeddingPrice(per_hour=36.0, currency="EUR")))
    found = hit()
    found.embedded(5.0)
    kept.close_trail(found)
    report = kept.report()

    assert report["spent"] == {
        "embedding_seconds": 5.0,
        "embedding_seconds_without_price": 0.0,
        "money": {"EUR": 0.05},
    }
    assert report["net"] == {"EUR": {"counted": pytest.approx(0.15), "with_estimates": pytest.approx(0.15)}}


def test_without_the_embedders_price_the_net_is_not_known() -> None:
    kept = account(BY_TOKEN)
    found = hit()
    found.embedded(5.0)
    kept.close_trail(found)

    assert kept.report()["net"] == {"EUR": {"counted": None, "with_estimates": None}}
    assert kept.report()["spent"]["embedding_seconds_without_price"] == 5.0


# Whoever counts


def test_a_counter_that_breaks_fails_no_request_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(outcome: object) -> None:
        raise ZeroDivisionError

    kept = Account(Prices(lambda model: None), Clock(), Clock(), [broken])
    kept.ending(told := hit())
    kept.close_trail(told)

    assert "could not be counted" in caplog.text

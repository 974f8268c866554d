"""The overview says what the ledger knows, and that it does not know what it does not."""

from typing import Any

import pytest

from gateway.admin.dashboard import overview
from gateway.admin.dashboard.words import Lang, Words
from gateway.sighting import Glimpse

EN = Words(Lang.EN)
NOBODY = {"judged_near": 0, "wrong": {}}


def stats(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "requests": 20,
        "asked_of_cache": 10,
        "hits": {"total": 6, "exact": 3, "pixel": 1, "near": 2},
        "hit_rate": 0.6,
        "misses": {"total": 4, "by_reason": {"first-asked": 3, "local-change": 1}},
        "bypasses": {"total": 8, "by_reason": {"no-picture": 8}},
        "asked_afresh": 2,
        "saved": {
            "calls": 6,
            "tokens_in": 4800,
            "tokens_out": 24,
            "upstream_seconds": 12.5,
            "money": {"CNY": 0.3},
            "money_estimated": {},
        },
        "net": {"CNY": {"counted": 0.29, "with_estimates": 0.29}},
        "latency": {"hit": {"p50_ms": 5.0}, "miss": {"p50_ms": 1500.0}},
        "shadow": {"requests": 0, "would_be_hits": {"total": 0}, "would_be_hit_rate": None, "compared": 0, "agreed": 0},
        "embedder": {"state": "ready", "space": "clip", "near_hits": True, "threshold": 0.95},
        "store": {"entries": 5, "bytes": 1000, "bytes_max": 10**10},
        "webhooks": {},
        "prices": {"*": {}},
        "uptime_s": 61,
    }
    return base | more


def money_card(**more: Any) -> overview.Card:
    return overview.cards(stats(**more), NOBODY, "/hits", EN)[2]


def saved(**more: Any) -> dict[str, Any]:
    return stats()["saved"] | more


def test_the_cards_say_the_figures():
    said = [(card.name, card.value) for card in overview.cards(stats(), NOBODY, "/hits", EN)]

    assert said == [
        ("Hit rate", "60.0 %"),
        ("Calls avoided", "6"),
        ("Money saved", "0.2900 CNY"),
        ("Waiting saved", "12.5 s"),
        ("Reported wrong", "–"),
    ]


def test_money_is_net_where_the_gateways_cost_is_known_and_said_to_be_gross_where_not():
    gross = {"CNY": {"counted": None, "with_estimates": None}}

    assert (money_card().value, money_card().says) == ("0.2900 CNY", "net of the gateway's own cost")
    assert (money_card(net=gross).value, money_card(net=gross).says) == (
        "0.3000 CNY",
        "before the gateway's own cost",
    )


def test_what_has_no_price_is_unknown_and_never_nothing():
    unknown = money_card(saved=saved(money="unknown"), net={})

    assert (unknown.value, unknown.tone) == ("No price", "quiet")
    assert money_card(saved=saved(money={}), net={}, prices="unknown").value == "No price"
    assert money_card(saved=saved(money={}), net={}).value == "–"


def test_estimated_money_is_said_apart_and_a_loss_is_told():
    estimated = money_card(saved=saved(money_estimated={"CNY": 0.02}))
    loss = money_card(net={"CNY": {"counted": -0.5, "with_estimates": -0.5}})

    assert estimated.note == "0.0200 CNY more by estimate"
    assert (loss.value, loss.tone) == ("-0.5000 CNY", "bad")


def test_money_in_two_currencies_is_not_added_up():
    two = {name: {"counted": value, "with_estimates": value} for name, value in (("CNY", 2.0), ("USD", 1.0))}

    assert money_card(net=two).value == "2.00 CNY + 1.00 USD"


@pytest.mark.parametrize(("wrong", "tone"), [(0, "good"), (1, "bad")])
def test_reported_errors_are_said_with_how_many_were_judged(wrong: int, tone: str):
    card = overview.cards(stats(), {"judged_near": 41, "wrong": {"near": wrong}}, "/hits", EN)[-1]

    assert (card.value, card.tone, card.says) == (str(wrong), tone, "of 41 near hits that people looked at")


def test_reasons_are_those_of_misses_bypasses_and_no_cache_most_first():
    said = [(row.reason, row.count, row.share) for row in overview.rows(stats(), EN)]

    assert said == [
        ("no-picture", 8, "57.1 %"),
        ("first-asked", 3, "21.4 %"),
        ("no-cache", 2, "14.3 %"),
        ("local-change", 1, "7.1 %"),
    ]


def test_how_much_faster_is_said_only_where_both_were_measured():
    assert overview.faster(stats(), EN) == "5.0 ms instead of 1.5 s: 300 times as fast"
    assert overview.faster(stats(latency={"hit": {"p50_ms": None}, "miss": {"p50_ms": 3.0}}), EN) == ""
    assert overview.faster(stats(latency={}), EN) == ""


LOADING = "The embedder is loading: exact and pixel hits only, for now."
FAILED = "There is no embedder, so there are no near hits: no weights"
FALLBACK = "A fallback embedder is in use: no clip"


@pytest.mark.parametrize(
    ("embedder", "mode", "titles"),
    [
        ({"state": "ready"}, "near", []),
        ({"state": "loading"}, "near", [LOADING]),
        ({"state": "failed", "why": "no weights"}, "near", [FAILED]),
        ({"state": "ready", "fallback": "no clip"}, "off", ["The cache is turned off", FALLBACK]),
        ({"state": "ready"}, "shadow", ["Shadow mode: nothing is served from the cache"]),
    ],
)
def test_what_an_operator_should_know_is_said_first(embedder: dict[str, str], mode: str, titles: list[str]):
    assert [one.title for one in overview.notices(stats(embedder=embedder), mode, EN)] == titles


def test_a_webhook_in_trouble_is_said_with_what_waits():
    fine = {"trouble": None, "queued": 2, "set_aside": 0, "dropped": 0}
    hooks = {"fine": fine, "dead": fine | {"trouble": "HTTP 500"}, "full": fine | {"dropped": 7}}
    said = overview.notices(stats(webhooks=hooks), "near", EN)

    assert [(one.title, one.says, one.tone) for one in said] == [
        ("The webhook dead does not take events: HTTP 500", "2 wait, 0 were set aside, 0 were dropped.", "bad"),
        (
            "The webhook full does not take events: its queue was full",
            "2 wait, 0 were set aside, 7 were dropped.",
            "bad",
        ),
    ]


def bucket(start: int, hits: int = 1, misses: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "start": start,
        "hits": {"total": hits, "exact": hits, "pixel": 0, "near": 0},
        "misses": misses,
        "hit_rate": None,
        "upstream_seconds_saved": 2.0 * hits,
        "money": {},
        "net": {},
    } | more


def test_many_steps_are_drawn_as_few_bars_and_nothing_is_lost():
    series = {"step_s": 600, "buckets": [bucket(600 * number) for number in range(144)]}
    drawn = overview.charts(stats(), series, EN)

    assert drawn["step_s"] == 3600
    assert len(drawn["starts"]) == 24
    assert [sum(bar) for _, bar in drawn["requests"]["bars"]] == [144, 0, 0, 144]
    assert set(drawn["requests"]["rate"][1]) == {50.0}
    assert sum(drawn["saved"]["values"]) == 288


def test_hits_and_misses_are_drawn_by_percentile_and_what_was_not_measured_is_left_out():
    figures = {"hit": {"p50_ms": 5.0, "p90_ms": 6.0, "p95_ms": 7.0, "p99_ms": 8.0}}
    drawn = overview.charts(stats(latency=figures), {"step_s": 60, "buckets": [bucket(0)]}, EN)["latency"]

    assert drawn["bars"] == [["hit", [5.0, 6.0, 7.0, 8.0]], ["miss", [None] * 4]]


def test_a_step_in_which_nothing_was_asked_has_no_hit_rate():
    series = {"step_s": 60, "buckets": [bucket(0, 0, 0), bucket(60, 3, 1)]}

    assert overview.charts(stats(), series, EN)["requests"]["rate"][1] == [None, 75.0]


def test_money_is_drawn_in_the_currency_that_most_steps_have_net_where_known():
    net = {"CNY": {"counted": 0.9, "with_estimates": 1.0}}
    steps = [bucket(0, money={"CNY": 1.0}, net=net), bucket(60, money={"CNY": 2.0, "USD": 5.0}), bucket(120)]
    drawn = overview.charts(stats(), {"step_s": 60, "buckets": steps}, EN)["saved"]

    assert drawn == {"of": "money", "unit": "CNY", "values": [0.9, 2.0, 0.0]}


def test_without_money_the_seconds_are_drawn():
    drawn = overview.charts(stats(), {"step_s": 60, "buckets": [bucket(0)]}, EN)["saved"]

    assert drawn == {"of": "time", "unit": "seconds", "values": [2.0]}


def test_a_recent_request_is_one_line():
    one = Glimpse(100.0, "near", None, "qwen3-vl-8b", 1, 0.105, 200, "0123456789abcdef", 0.99812)
    line = overview.line(one, 160.0, EN)

    assert (line.ago, line.says, line.took, line.similarity, line.entry) == (
        "1 min ago",
        "near",
        "105 ms",
        "0.9981",
        "01234567",
    )
    assert line.iso == "1970-01-01T00:01:40+00:00"

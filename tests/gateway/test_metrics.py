"""The metrics are those of the docs, their labels are bounded, and what deploy/ asks for exists."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed
from prometheus_client.samples import Sample

from cache.stores.base import Size
from gateway.admission import Admission
from gateway.metrics import MODELS_MOST, Metrics, State
from gateway.names import By
from gateway.outcome import HitClass
from gateway.webhooks.figures import Waiting
from tests.gateway.test_ledger import BYPASS, HIT, MISS
from tests.test_docs import ROOT, table_words

DASHBOARD = ROOT / "deploy/grafana/lookalike.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    load, breaker = Admission(10, 10**6).report, {"breaker": "open", "opened": 2}
    state = lambda: Size(3, 100, 1_000, 1, 2, 0), lambda: True, lambda: 10**9, lambda: {"first": breaker}, load
    made.watch(State("1.0", "near", *state))
    counts = dict.fromkeys(("delivered", "failed", "dropped", "attempts_failed", "queued", "set_aside"), 2)
    made.watch(Waiting(lambda: {"orders": counts}))
    return made


def samples(metrics: Metrics) -> list[Sample]:
    text = generate_latest(metrics.registry).decode()
    return [sample for family in parsed(text) for sample in family.samples]


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return sum(s.value for s in samples(metrics) if s.name == name and labels.items() <= s.labels.items())


def families(metrics: Metrics) -> dict[str, set[str]]:
    """Each metric's name as it is written down, and its labels."""
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = found.get(name, set()) | labels
    return found


def everything(metrics: Metrics) -> Metrics:
    shadow: Any = type("Would", (), {"kind": "near"})()
    observed: Any = type("Seen", (), {"agreement": type("Agreement", (), {"same": True})()})()
    told = replace(HIT, kinds=("reading",), stages_s={"read": 0.1}, error="client-gone", unstored="no-store")
    told = replace(told, tags=("warranty",), edited=True, left_alone="fault")
    spent = type(told.spent)(1.0, HIT.saved.money if HIT.saved else None)
    for outcome in (
        replace(told, stored=True, spent=spent),
        MISS,
        BYPASS,
        replace(MISS, hit_class=HitClass.SHADOW, shadow=shadow, observed=observed),
    ):
        metrics.count(outcome)
    return metrics


def test_every_metric_is_documented_with_its_labels_and_no_other(metrics: Metrics) -> None:
    rows = re.findall(r"^\| `(lookalike_\w+)` \|([^|]*)\|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", labels))) for name, labels in rows}

    assert documented == families(everything(metrics))


def test_every_stage_of_a_request_is_documented() -> None:
    source = "".join(path.read_text() for path in (ROOT / "gateway").glob("*.py"))
    source += (ROOT / "cache/lookup.py").read_text()
    named = set(re.findall(r'(?:stage|passed)\("(\w+)"', source))

    assert named == {word for word in table_words("docs/stats.md") if word not in {*By, "window", "by"}}


def test_an_outcome_is_counted_where_it_belongs(metrics: Metrics) -> None:
    everything(metrics)

    assert value(metrics, "lookalike_requests_total") == 4
    assert value(metrics, "lookalike_requests_total", hit_class="near", model="m") == 1
    assert value(metrics, "lookalike_misses_total", reason="new-picture") == 1
    assert value(metrics, "lookalike_bypasses_total", reason="no-dialect") == 1
    assert value(metrics, "lookalike_question_kinds_total", kind="reading", hit="true") == 1
    assert value(metrics, "lookalike_saved_tokens_total", direction="in", basis="counted") == 10
    assert value(metrics, "lookalike_saved_money_total", currency="EUR", basis="counted") == 0.5
    assert value(metrics, "lookalike_shadow_compared_total", agreed="true") == 1
    assert value(metrics, "lookalike_store_entries") == 3
    assert value(metrics, "lookalike_embedder_ready") == 1
    assert value(metrics, "lookalike_request_seconds_bucket", hit_class="near", le="0.01") == 1
    assert value(metrics, "lookalike_request_seconds_bucket", hit_class="near", le="0.005") == 0


def test_models_that_nobody_answers_for_have_no_label_of_their_own(metrics: Metrics) -> None:
    for number in range(100):
        metrics.count(replace(MISS, model=f"made-up-{number}", answered=False))
    for number in range(MODELS_MOST + 10):
        metrics.count(replace(HIT, model=f"m{number}"))
    names = {s.labels["model"] for s in samples(metrics) if s.name == "lookalike_requests_total"}

    assert names == {"other", *(f"m{number}" for number in range(MODELS_MOST))}


def test_a_models_name_may_hold_anything(metrics: Metrics) -> None:
    odd = 'a"b\\c\nd\ud800'
    metrics.count(replace(HIT, model=odd))

    assert value(metrics, "lookalike_requests_total", model='a"b\\c\nd?') == 1


def test_the_text_is_openmetrics_too(metrics: Metrics) -> None:
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    text = generate_openmetrics(everything(metrics).registry).decode()

    assert {family.name for family in parsed_openmetrics(text)} >= {"lookalike_requests", "lookalike_info"}


# deploy/


def expressions() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for block in re.split(r"- alert: ", ALERTS.read_text())[1:]:
        expression = re.search(r"expr:(?: >-)?\s(.*?)\n        (?:for|labels):", block, re.DOTALL)
        assert expression, block
        yield block.split("\n", 1)[0], expression[1]


def known_series(metrics: Metrics) -> dict[str, set[str]]:
    """Each name that can be asked for, with its labels."""
    found = {}
    for name, labels in families(everything(metrics)).items():
        histogram = name.endswith("_seconds") and not name.endswith("_total")
        for suffix in ("_bucket", "_sum", "_count") if histogram else ("",):
            found[name + suffix] = labels | {"instance"} | ({"le"} if suffix == "_bucket" else set())
    return found


@pytest.mark.parametrize(("title", "expression"), list(expressions()))
def test_what_the_dashboard_and_the_alerts_ask_for_exists(metrics: Metrics, title: str, expression: str) -> None:
    known = known_series(metrics)
    asked = re.findall(r"(lookalike_\w+)(?:\{([^}]*)\})?", expression)
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}

    assert asked or "up{" in expression
    for name, selector in asked:
        assert name in known
        assert set(re.findall(r"(\w+)=", selector)) <= known[name]
        assert grouped <= known[name]
    assert expression.count("(") == expression.count(")")


def test_the_words_that_are_asked_for_are_words_of_this_version(metrics: Metrics) -> None:
    reasons = set(table_words("docs/reasons.md"))
    for _, expression in expressions():
        for label, words in re.findall(r'(hit_class|reason)=~?"([^"]+)"', expression):
            known = {one.value for one in HitClass} if label == "hit_class" else reasons
            assert set(words.split("|")) <= known


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    dashboard = json.loads(Path(DASHBOARD).read_text())
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert "${datasource}" in DASHBOARD.read_text()

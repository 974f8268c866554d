"""What the gateway says of itself, over HTTP: statistics by window and group, series, metrics and health."""

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from embeddings.base import EmbedderUnavailable, Loaded
from embeddings.dct import DctEmbedder
from gateway.config import Settings
from gateway.demo import cards
from gateway.ledger import LEDGER_FILE
from gateway.names import By, Window
from gateway.price import EmbeddingPrice, Price
from tests.fakes.pictures import card, jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, gateway_over, serving, wait_until_ready
from tests.flows.test_passthrough import question

PRICES = {"*": Price(input_per_million=1_000, output_per_million=1_000, currency="EUR")}


def get(stage: Stage, path: str, **query: str) -> httpx.Response:
    return httpx.get(f"{stage.gateway}/cache/{path}", params=query)


def post(stage: Stage, file: bytes, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = question(file) | more
    return httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, headers=headers or {}, timeout=30)


def test_every_window_and_group_can_be_asked_for(stage: Stage):
    for _ in range(2):
        post(stage, card("48.20"), {"authorization": "Bearer one"})
    for window in Window:
        for by in By:
            report = get(stage, "stats", window=window, by=by).raise_for_status().json()
            assert (report["requests"], report["hit_rate"]) == (2, 0.5)
            assert report["window"]["name"] == window
            groups = report["groups"]["values"]
            assert sum(group["requests"] for group in groups) == 2
            assert report["store"]["entries"] == 1
        series = get(stage, "stats/series", window=window).raise_for_status().json()
        assert sum(bucket["hits"]["exact"] for bucket in series["buckets"]) == 1
    assert "groups" not in stage.stats()


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("stats", {"window": "2h"}, "window must be one of 1h, 24h, 7d, 30d, all"),
        ("stats", {"by": "price"}, "by must be one of hit_class, model, tenant, dialect, reason, kind"),
        ("stats/series", {"window": ""}, "window must be one of"),
    ],
)
def test_a_word_that_does_not_exist_is_refused_with_those_that_do(
    stage: Stage, path: str, query: dict[str, str], words: str
):
    reply = get(stage, path, **query)

    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]


def test_tenants_are_told_apart_by_digests_that_do_not_show_them(stage: Stage):
    for key in ("sk-one", "sk-two", "sk-two"):
        post(stage, card("48.20"), {"authorization": f"Bearer {key}"})
    reply = get(stage, "stats", by="tenant")
    names = [group["name"] for group in reply.json()["groups"]["values"]]

    assert [group["requests"] for group in reply.json()["groups"]["values"]] == [2, 1]
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names)
    assert "sk-" not in reply.text


def test_a_near_hit_shows_every_stage(stage: Stage):
    post(stage, png(cards.draw("48.20")))
    post(stage, jpeg(cards.draw("48.20"), 88))
    latency = stage.stats()["latency"]
    measured = {name: stage["count"] for name, stage in latency["stages"].items()}

    assert (latency["hit"]["count"], latency["miss"]["count"]) == (1, 1)
    assert measured == {
        **dict.fromkeys(("receive", "read", "pictures", "look", "decode", "embed"), 2),
        **dict.fromkeys(("search", "guard", "serve"), 1),
        **dict.fromkeys(("upstream_first_byte", "upstream", "store"), 1),
    }
    assert all(stage["p50_ms"] > 0 for stage in latency["stages"].values())
    assert stage.stats()["spent"]["embedding_seconds"] > 0


def test_an_answer_streamed_without_usage_is_estimated_and_marked(build: Build):
    stage = build(near=False, prices=PRICES, embedding_price=EmbeddingPrice(per_hour=1.0, currency="EUR"))
    for _ in range(2):
        post(stage, card("48.20"), stream=True)
    report = stage.stats()
    saved = report["saved"]

    assert (saved["tokens_in"], saved["tokens_out"], saved["money"]) == (0, 0, {})
    assert saved["tokens_in_estimated"] > 50
    assert saved["tokens_out_estimated"] == 4  # "prices: 48.20"
    assert (saved["hits_with_estimated_tokens"], saved["hits_with_unknown_price"]) == (1, 0)
    tokens = saved["tokens_in_estimated"] + saved["tokens_out_estimated"]
    assert saved["money_estimated"] == {"EUR": tokens / 1_000}
    spent = report["spent"]["money"].get("EUR", 0)
    assert report["net"]["EUR"]["with_estimates"] == pytest.approx(tokens / 1_000 - spent)


def test_statistics_survive_a_restart_and_a_damaged_file_stops_nothing(tmp_path: Path):
    fake = FakeUpstream()
    with serving(fake) as upstream:
        settings = Settings(upstream=upstream, cache_dir=tmp_path / "cache", embedder="dct")
        with gateway_over(settings) as stage:
            for _ in range(3):
                post(stage, card("48.20"))
        with gateway_over(settings) as stage:
            assert stage.stats()["hits"]["exact"] == 2
            assert get(stage, "stats", window="1h").json()["requests"] == 3
        (tmp_path / "cache" / LEDGER_FILE).write_bytes(b"not a database" * 1_000)
        with gateway_over(settings) as stage:
            assert post(stage, card("48.20")).headers["cache-status"].endswith("detail=exact")
            assert stage.stats()["requests"] == 1


def test_random_traffic_is_counted_as_the_replies_say(stage: Stage):
    """The replies' own headers are the independent count."""
    chance, seen, asked = random.Random(4), Counter[str](), Counter[str]()
    questions = [question(card(price)) for price in ("48.20", "17.90", "33.05")]
    client = httpx.Client(base_url=stage.gateway, timeout=30)
    for _ in range(300):
        headers = chance.choice(
            [{}, {}, {}, {"cache-control": "no-cache"}, {"x-lookalike-mode": "off"}, {"range": "bytes=0-"}]
        ) | {"authorization": f"Bearer {chance.choice('ab')}"}
        model = chance.choice(["m", "n"])
        body = chance.choice(questions) | {"model": model}
        status = client.post("/v1/chat/completions", json=body, headers=headers).headers["cache-status"]
        seen[status.split("detail=")[1] if "; hit" in status else status.split("fwd=")[1]] += 1
        asked[model] += "range" not in headers and headers.get("x-lookalike-mode") != "off"
    client.close()
    report, by_model = stage.stats(), get(stage, "stats", by="model").json()["groups"]["values"]

    told = Counter({kind: report["hits"][kind] for kind in ("exact", "pixel", "near")})
    told.update({f"miss; detail={why}": count for why, count in report["misses"]["by_reason"].items()})
    told.update({f"bypass; detail={why}": count for why, count in report["bypasses"]["by_reason"].items()})
    told["request; detail=no-cache"] = report["asked_afresh"]
    assert +told == seen
    assert report["requests"] == 300
    assert {group["name"]: group["requests"] for group in by_model if group["name"] != "none"} == asked


# Metrics


def test_prometheus_can_scrape_it(stage: Stage):
    for _ in range(2):
        post(stage, card("48.20"), model="qwen")
    stage.stats()
    reply = get(stage, "metrics").raise_for_status()
    samples = [sample for family in parsed(reply.text) for sample in family.samples]
    found = {
        sample.labels["hit_class"]: sample.value for sample in samples if sample.name == "lookalike_requests_total"
    }

    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert found == {"miss": 1, "exact": 1}
    assert {s.labels["stage"] for s in samples if s.name == "lookalike_stage_seconds_count"} >= {"read", "upstream"}
    assert [s.value for s in samples if s.name == "lookalike_store_entries"] == [1]
    assert [s.value for s in samples if s.name == "lookalike_embedder_ready"] == [1]
    assert [s.value > 0 for s in samples if s.name == "lookalike_disk_free_bytes"] == [True]


def test_openmetrics_is_had_for_the_asking(stage: Stage):
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    reply = httpx.get(f"{stage.gateway}/cache/metrics", headers=accept)

    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")


# Health


def test_probes_have_status_codes(build: Build):
    stage = build()

    assert get(stage, "health/live").status_code == 200
    assert get(stage, "health/ready").json()["status"] == "ready"
    assert get(stage, "health/ready", embedder="1").status_code == 200


def test_a_rollout_can_wait_for_the_embedder(build: Build, monkeypatch: pytest.MonkeyPatch):
    go = threading.Event()

    def slowly(settings: Settings) -> Loaded:
        go.wait(10)
        return Loaded(DctEmbedder())

    monkeypatch.setattr("gateway.app.load_embedder", slowly)
    stage = build(near=False)

    assert get(stage, "health/ready").status_code == 200
    waiting = get(stage, "health/ready", embedder="1")
    assert (waiting.status_code, waiting.json()["status"]) == (503, "not-ready")
    assert "lookalike_embedder_ready 0.0" in get(stage, "metrics").text
    go.set()
    wait_until_ready(stage)
    assert get(stage, "health/ready", embedder="1").status_code == 200


def test_no_embedder_is_a_problem_in_words(build: Build, monkeypatch: pytest.MonkeyPatch):
    def fail(settings: Settings) -> Loaded:
        raise EmbedderUnavailable("no weights here")

    monkeypatch.setattr("gateway.app.load_embedder", fail)
    stage = build()

    assert (stage.health()["status"], stage.health()["problems"]) == ("degraded", ["no near hits: no weights here"])
    assert get(stage, "health/ready", embedder="1").status_code == 200


def test_the_whole_report_says_how_each_part_is(stage: Stage):
    post(stage, card("48.20"))
    stage.stats()
    report = get(stage, "health", check="store").raise_for_status().json()

    assert (report["status"], report["problems"]) == ("ok", [])
    assert report["store"] == {"kind": "embedded", "entries": 1, "set_aside": 0, "wrong": []}
    assert report["disk"]["free_bytes"] > 0
    assert "wrong" not in stage.health()["store"]


def test_a_store_that_is_not_sound_degrades_health_and_not_readiness(stage: Stage, tmp_path: Path):
    post(stage, card("48.20"))
    stage.stats()
    store = stage.app.state.running.store
    store._index.drop(next(iter(store._index)).entry.id)
    report = get(stage, "health", check="store").json()

    assert report["status"] == "degraded"
    assert any(problem.startswith("the store: ") for problem in report["problems"])
    assert get(stage, "health/ready").status_code == 200


def test_a_full_disk_is_a_problem_in_words(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.disk.free_bytes", lambda directory: 100 * 2**20)

    assert stage.health()["problems"] == ["the disk of the store has only 100 MiB left"]
    assert stage.health()["status"] == "degraded"


def test_a_store_in_memory_has_no_disk(tmp_path: Path):
    with serving(FakeUpstream()) as upstream:
        settings = Settings(upstream=upstream, store="memory", embedder="dct", cache_dir=tmp_path / "none")
        with gateway_over(settings) as stage:
            wait_until_ready(stage)
            assert stage.health()["disk"] is None
            assert "lookalike_disk_free_bytes" not in get(stage, "metrics").text
            post(stage, card("48.20"))
            assert stage.stats()["requests"] == 1
    assert not (tmp_path / "none").exists()


def test_the_images_probe_asks_a_path_that_exists(stage: Stage):
    dockerfile = (Path(__file__).parent.parent.parent / "Dockerfile").read_text()
    path = dockerfile.split("http://127.0.0.1:8080")[1].split("'")[0]

    assert path == "/cache/health/live"
    assert httpx.get(stage.gateway + path).status_code == 200

"""What a caller may ask of the cache: Cache-Control and X-Lookalike-Mode, on the wire."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import card, jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, gateway_over, serving, wait_until_ready
from tests.flows.test_passthrough import question


def post(stage: Stage, file: bytes, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file), headers=fields)


def status(stage: Stage, file: bytes, **headers: str) -> str:
    return post(stage, file, **headers).headers["cache-status"].removeprefix("lookalike; ")


def test_no_cache_asks_the_upstream_and_stores_the_newer_answer(stage: Stage):
    post(stage, card("48.20"))

    assert status(stage, card("48.20"), cache_control="no-cache") == "fwd=request; detail=no-cache"
    assert stage.upstream.calls == 2
    assert status(stage, card("48.20")).startswith("hit")
    assert stage.stats()["store"]["entries"] == 1


def test_no_store_keeps_nothing(stage: Stage):
    post(stage, card("48.20"), cache_control="no-store")

    assert stage.stats()["store"]["entries"] == 0
    assert stage.stats()["not_stored"] == {"no-store": 1}
    assert status(stage, card("48.20")) == "fwd=miss; detail=first-asked"


def test_only_if_cached_never_goes_upstream(stage: Stage):
    missing = post(stage, card("48.20"), cache_control="only-if-cached")
    post(stage, card("48.20"))

    assert missing.status_code == 504
    assert missing.json()["error"]["code"] == "not_in_cache"
    assert stage.upstream.calls == 1
    assert post(stage, card("48.20"), cache_control="only-if-cached").status_code == 200


def test_only_if_cached_never_goes_upstream_for_a_request_that_the_cache_is_not_asked_for(stage: Stage):
    reply = post(stage, card("48.20"), cache_control="only-if-cached", range="bytes=0-")

    assert reply.status_code == 504
    assert reply.headers["cache-status"] == "lookalike; detail=not_in_cache"
    assert stage.upstream.calls == 0


@pytest.mark.parametrize(
    ("mode", "same_bytes", "same_pixels", "reencoded"),
    [
        ("near", "exact", "pixel", "near"),
        ("pixel", "exact", "pixel", "rung-forbidden"),
        ("exact", "exact", "rung-forbidden", "rung-forbidden"),
        ("off", "mode-off", "mode-off", "mode-off"),
    ],
)
def test_a_caller_may_forbid_rungs(stage: Stage, mode: str, same_bytes: str, same_pixels: str, reencoded: str):
    picture = cards.draw("48.20")
    post(stage, png(picture))
    copies = (png(picture), png(picture, compress_level=1), jpeg(picture, 90))
    found = [status(stage, copy, x_lookalike_mode=mode, cache_control="no-store") for copy in copies]

    assert [line.rpartition("detail=")[2] for line in found] == [same_bytes, same_pixels, reencoded]


def test_a_caller_cannot_loosen_what_the_operator_set(build: Build):
    stage = build(mode="exact")
    picture = cards.draw("48.20")
    post(stage, png(picture))

    assert "rung-forbidden" in status(stage, jpeg(picture, 90), x_lookalike_mode="near")


def test_a_mode_that_does_not_exist_is_a_clear_400(stage: Stage):
    reply = post(stage, card("48.20"), x_lookalike_mode="fuzzy")

    assert reply.status_code == 400
    assert "off, exact, pixel, near" in reply.json()["error"]["message"]


def test_age_max_age_and_time_to_live_follow_the_clock(tmp_path: Path):
    now = [1_800_000_000.0]
    fake = FakeUpstream()
    with (
        serving(fake) as upstream,
        gateway_over(
            Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct", ttl_s=100), clock=lambda: now[0]
        ) as stage,
    ):
        wait_until_ready(stage)
        post(stage, card("48.20"))
        now[0] += 40
        aged = post(stage, card("48.20"))
        assert aged.headers["age"] == "40"
        assert "ttl=60" in aged.headers["cache-status"]
        assert status(stage, card("48.20"), cache_control="max-age=30, no-store") == "fwd=stale; detail=stale"
        assert status(stage, card("48.20"), cache_control="min-fresh=70, no-store") == "fwd=stale; detail=stale"
        assert status(stage, card("48.20"), cache_control="max-age=41").startswith("hit")
        now[0] += 61
        assert status(stage, card("48.20"), cache_control="no-store") == "fwd=miss; detail=first-asked"


def test_the_answer_to_a_small_picture_does_not_serve_a_clearly_larger_one(stage: Stage):
    picture = cards.draw("48.20")
    post(stage, jpeg(picture.resize((400, 300)), 92))

    larger = status(stage, jpeg(picture, 92))

    assert larger.startswith("fwd=miss")
    assert stage.upstream.calls == 2


def test_the_answer_to_a_large_picture_serves_a_smaller_copy(stage: Stage):
    picture = cards.draw("48.20")
    post(stage, jpeg(picture, 92))

    assert "detail=near" in status(stage, jpeg(picture.resize((600, 450)), 92))


def test_near_hits_wait_for_the_embedder_and_exact_ones_do_not(build: Build, monkeypatch: Any):
    stage = build(mode="near", threshold=1.0)
    picture = cards.draw("48.20")
    post(stage, png(picture))

    assert status(stage, png(picture)).endswith("detail=exact")
    assert status(stage, jpeg(picture, 60)).endswith("new-picture")

"""Shadow mode: everything is forwarded, and the log says what would have been served and whether it agrees."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from gateway.demo import cards
from gateway.shadow import Kind, Observation
from gateway.shadowlog import SHADOW_FILE, Skipped, read_log
from tests.fakes.pictures import card, data_url, jpeg, png, resized
from tests.flows.conftest import Build, Stage, wait_until_noted
from tests.flows.test_openai_sdk import ask, copy_of_48_20
from tests.flows.test_passthrough import question

BYPASS = "lookalike; fwd=bypass; detail=shadow"


@pytest.fixture
def stage(build: Build) -> Stage:
    return build(mode="shadow")


@pytest.fixture
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-planted-credential", max_retries=0) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def observed(stage: Stage, folder: Path) -> list[Observation]:
    wait_until_noted(stage)
    return list(read_log(folder / SHADOW_FILE, Skipped()))


def asked(client: OpenAI, url: str, says: str | None = None, **more: Any) -> tuple[str, httpx.Headers]:
    """The answer and the headers; `says` makes the upstream say that."""
    fields = {"x-fake": f"text={says}"} if says else {}
    raw = client.chat.completions.with_raw_response.create(**ask(url, **more), extra_headers=fields)
    return raw.parse().choices[0].message.content or "", raw.headers


def test_every_answer_is_the_upstreams_own_and_a_header_says_what_it_would_have_been(
    stage: Stage, client: OpenAI, folder: Path
):
    picture = cards.draw("48.20")
    urls = [data_url(card("48.20")), data_url(card("48.20")), data_url(png(picture, compress_level=1)), copy_of_48_20()]
    replies = [asked(client, url) for url in urls]

    assert [text for text, _ in replies] == ["prices: 48.20"] * 4
    assert [headers["cache-status"] for _, headers in replies] == [BYPASS] * 4
    assert [headers["x-lookalike-shadow"].partition("; question=")[0] for _, headers in replies] == [
        "miss; detail=first-asked",
        "exact",
        "pixel",
        "near",
    ]
    assert stage.upstream.calls == 4
    seen = observed(stage, folder)
    assert [one.would_be for one in seen] == [Kind.MISS, Kind.EXACT, Kind.PIXEL, Kind.NEAR]
    assert [one.agreement.same for one in seen[1:] if one.agreement] == [True] * 3
    assert len({one.question for one in seen}) == 1


def test_what_the_client_gets_is_the_upstreams_reply_byte_for_byte(stage: Stage):
    body, fields = question(card("48.20")), {"x-fake": "gzip"}
    directly = httpx.post(f"{stage.upstream_url}/v1/chat/completions", json=body, headers=fields)
    through = [httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, headers=fields) for _ in range(2)]

    for reply in through:
        assert reply.headers["content-encoding"] == "gzip"
        assert reply.json() | {"id": ""} == directly.json() | {"id": ""}
        assert "age" not in reply.headers
    assert through[0].json()["id"] != through[1].json()["id"]


def test_a_near_copy_is_noted_with_its_similarity_its_cost_and_its_candidate(
    stage: Stage, client: OpenAI, folder: Path
):
    asked(client, data_url(card("48.20")))
    _, headers = asked(client, copy_of_48_20())
    _, near = observed(stage, folder)

    assert near.similarity == pytest.approx(float(headers["x-lookalike-similarity"]), abs=1e-4)
    assert near.score is not None
    assert near.score <= 1
    assert (near.tokens_in, near.tokens_out, near.money, near.unread) == (800, 2, None, None)
    assert (near.model, near.dialect, near.pictures) == ("qwen3-vl-8b", "openai-chat", 1)
    assert near.threshold == 0.65
    assert near.space
    assert near.upstream_s > 0
    [candidate] = near.candidates
    assert candidate.doubt is None
    assert candidate.similarity == near.similarity
    assert candidate.agreement == near.agreement


def test_a_look_alike_is_noted_as_refused_beside_the_answer_that_it_was_spared(
    stage: Stage, client: OpenAI, folder: Path
):
    asked(client, data_url(card("48.20")))
    text, headers = asked(client, data_url(card("48.26")))
    _, refused = observed(stage, folder)

    assert text == "prices: 48.26"
    assert headers["x-lookalike-shadow"].startswith("miss; detail=local-change; ")
    assert (refused.would_be, refused.doubt, refused.agreement) == (Kind.MISS, "local-change", None)
    [candidate] = refused.candidates
    assert candidate.doubt == "local-change"
    assert candidate.agreement is not None
    assert not candidate.agreement.numbers_agree


def test_a_candidate_below_the_threshold_is_weighed_too_and_stays_a_miss(build: Build, folder: Path):
    stage = build(mode="shadow", threshold=1.0)
    picture = cards.draw("48.20")
    for file in (png(picture), jpeg(picture, 60)):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file))
    _, missed = observed(stage, folder)

    assert (missed.would_be, missed.doubt, missed.threshold) == (Kind.MISS, "new-picture", 1.0)
    [candidate] = missed.candidates
    assert candidate.doubt is None
    assert 0.9 < candidate.similarity < 1.0
    assert candidate.agreement is not None
    assert candidate.agreement.same
    assert stage.stats()["stored"] == 2


def test_an_upstream_that_changes_its_answers_is_noted_as_disagreeing(stage: Stage, client: OpenAI, folder: Path):
    asked(client, data_url(card("48.20")))
    asked(client, data_url(card("48.20")), says="prices: 77.20")
    asked(client, copy_of_48_20(), says="the prices: 48.20")
    _, exact, near = observed(stage, folder)

    assert exact.agreement is not None
    assert near.agreement is not None
    assert (exact.agreement.same, exact.agreement.numbers_agree) == (False, False)
    assert (near.agreement.same, near.agreement.numbers_agree) == (False, True)
    assert 0.5 < near.agreement.similarity < 1
    shadow = stage.stats()["shadow"]
    assert (shadow["compared"], shadow["agreed"], shadow["disagreed"], shadow["numbers_disagreed"]) == (2, 0, 2, 1)


def test_a_would_be_hit_stores_nothing_so_the_first_answer_stays_the_one_compared_with(
    stage: Stage, client: OpenAI, folder: Path
):
    asked(client, data_url(card("48.20")))
    asked(client, data_url(card("48.20")), says="prices: 77.20")
    asked(client, data_url(card("48.20")))

    last = observed(stage, folder)[-1]
    assert last.agreement is not None
    assert last.agreement.same
    stats = stage.stats()
    assert (stats["stored"], stats["store"]["entries"], stats["not_stored"]) == (1, 1, {})


@pytest.mark.parametrize("first_streams", [True, False])
def test_streams_are_compared_too(stage: Stage, client: OpenAI, folder: Path, first_streams: bool):
    for url, stream in ((data_url(card("48.20")), first_streams), (copy_of_48_20(), True)):
        if stream:
            chunks = client.chat.completions.create(**ask(url), stream=True, stream_options={"include_usage": True})
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "prices: 48.20"
        else:
            asked(client, url)

    _, near = observed(stage, folder)
    assert near.would_be is Kind.NEAR
    assert near.agreement is not None
    assert near.agreement.same
    assert near.tokens_in == 800


def test_an_answer_that_is_not_whole_is_noted_with_its_reason(stage: Stage, client: OpenAI, folder: Path):
    asked(client, data_url(card("48.20")))
    reply = httpx.post(
        f"{stage.gateway}/v1/chat/completions",
        json=ask(data_url(card("48.20"))),
        headers={"authorization": "Bearer sk-planted-credential", "x-fake": "status=503"},
    )
    _, failed = observed(stage, folder)

    assert reply.status_code == 503
    assert (failed.would_be, failed.unread, failed.agreement) == (Kind.EXACT, "upstream-status", None)
    shadow = stage.stats()["shadow"]
    assert (shadow["requests"], shadow["would_be_hits"]["exact"], shadow["compared"]) == (2, 1, 0)


def test_shadow_requests_are_a_group_of_their_own_in_the_statistics(build: Build):
    stage = build(mode="shadow", prices={"*": {"input_per_million": 1e3, "output_per_million": 1e4, "currency": "EUR"}})
    for _ in range(3):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")))
    stats = stage.stats()

    assert (stats["hits"]["total"], stats["hit_rate"], stats["asked_of_cache"]) == (0, None, 0)
    assert stats["misses"]["total"] == stats["bypasses"]["total"] == stats["saved"]["calls"] == 0
    shadow = stats["shadow"]
    assert shadow["would_be_hits"] == {"total": 2, "exact": 2, "pixel": 0, "near": 0}
    assert shadow["would_be_hit_rate"] == pytest.approx(2 / 3)
    assert shadow["would_have_saved"]["calls"] == 2
    assert shadow["would_have_saved"]["tokens_in"] == 1600
    assert shadow["would_have_saved"]["money"] == {"EUR": pytest.approx(2 * (0.8 + 0.02))}


def test_a_caller_may_keep_a_request_out_and_may_not_ask_for_shadow(stage: Stage):
    def status(**fields: str) -> httpx.Response:
        return httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20")), headers=fields)

    kept_out = status(**{"x-lookalike-mode": "off"})
    refused = status(**{"x-lookalike-mode": "shadow"})

    assert kept_out.headers["cache-status"] == "lookalike; fwd=bypass; detail=mode-off"
    assert "x-lookalike-shadow" not in kept_out.headers
    assert refused.status_code == 400
    assert "off, exact, pixel, near" in refused.json()["error"]["message"]
    assert stage.stats()["shadow"]["requests"] == 0
    assert stage.stats()["store"]["entries"] == 0


def test_a_callers_wishes_hold_for_what_would_have_been_served(stage: Stage, client: OpenAI, folder: Path):
    asked(client, data_url(card("48.20")))
    client.chat.completions.create(**ask(copy_of_48_20()), extra_headers={"x-lookalike-mode": "pixel"})
    client.chat.completions.create(**ask(data_url(card("12.80"))), extra_headers={"cache-control": "no-store"})
    _, forbidden, unstored = observed(stage, folder)

    assert (forbidden.would_be, forbidden.doubt, forbidden.candidates) == (Kind.MISS, "rung-forbidden", ())
    assert unstored.would_be is Kind.MISS
    assert stage.stats()["not_stored"] == {"no-store": 1}


def test_only_if_cached_is_not_answered_and_goes_nowhere(stage: Stage):
    url, fields = f"{stage.gateway}/v1/chat/completions", {"cache-control": "only-if-cached"}
    httpx.post(url, json=question(card("48.20")))
    reply = httpx.post(url, json=question(card("48.20")), headers=fields)

    assert reply.status_code == 504
    assert stage.upstream.calls == 1


def test_the_log_holds_no_prompt_no_answer_no_picture_and_no_credential(stage: Stage, client: OpenAI, folder: Path):
    pictures = [data_url(card("48.20")), copy_of_48_20(), data_url(card("48.26"))]
    for url in pictures:
        asked(client, url, says="planted answer 4711", question="planted prompt 0815")
    observed(stage, folder)
    log = (folder / SHADOW_FILE).read_bytes()

    assert log.count(b"\n") == 3
    for secret in (b"planted", b"4711", b"0815", *(url[30:60].encode() for url in pictures)):
        assert secret not in log
    everything = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"planted answer" in everything  # the answers are where they belong, so the search can find something
    for secret in (b"sk-planted-credential", b"planted prompt", *(url[30:60].encode() for url in pictures)):
        assert secret not in everything
    assert (folder / SHADOW_FILE).stat().st_mode & 0o077 == 0


def test_a_log_that_cannot_be_written_is_in_nobodys_way(build: Build, folder: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("WARNING", "lookalike")
    stage = build(mode="shadow")
    (folder / SHADOW_FILE).mkdir()
    replies = [httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20"))) for _ in range(3)]
    wait_until_noted(stage)

    assert [reply.json()["choices"][0]["message"]["content"] for reply in replies] == ["prices: 48.20"] * 3
    assert stage.stats()["shadow"]["log"] == {"file": str(folder / SHADOW_FILE), "written": 0, "lost": 3}
    assert stage.stats()["shadow"]["would_be_hits"]["exact"] == 2
    assert sum("shadow log" in record.message for record in caplog.records) == 1


def test_a_fault_of_the_comparison_is_in_nobodys_way(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("gateway.watch.agree", broken)
    replies = [httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card("48.20"))) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert stage.stats()["shadow"]["compared"] == 0
    assert stage.stats()["shadow"]["requests"] == 2


def test_a_fault_of_the_survey_is_in_nobodys_way_and_the_answer_is_stored(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("gateway.watch.survey", broken)
    picture = cards.draw("48.20")
    for file in (png(picture), jpeg(picture, 85)):
        assert httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file)).status_code == 200

    _, near = observed(stage, folder)
    assert (near.would_be, near.space) == (Kind.NEAR, None)
    assert [one.doubt for one in near.candidates] == [None]  # what would have been served is known all the same
    assert stage.stats()["store"]["entries"] == 1


def test_a_store_in_memory_leaves_no_log_behind_and_counts_all_the_same(build: Build, folder: Path):
    stage = build(mode="shadow", store="memory")
    picture = cards.draw("48.20")
    for file in (png(picture), jpeg(resized(picture, 0.8), 88)):
        httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file))

    assert stage.stats()["shadow"]["would_be_hits"]["near"] == 1
    assert stage.stats()["shadow"]["agreed"] == 1
    assert not folder.exists()


def test_what_caller_and_kind_of_question_demand_counts_for_what_would_have_been_served(build: Build, folder: Path):
    stage = build(mode="shadow", guard_limit_strict=1e-6, questions=[{"name": "counting", "guard": "strict"}])
    url = f"{stage.gateway}/v1/chat/completions"
    copy = jpeg(cards.draw("48.20"), 60)

    def would(about: str, picture: bytes, **wishes: str) -> str:
        fields = {f"X-Lookalike-{name}": value for name, value in wishes.items()}
        fields |= {"Cache-Control": "no-store"} if picture is copy else {}
        body = question(picture)
        body["messages"][0]["content"][1]["text"] = about
        reply = httpx.post(url, json=body, headers=fields)
        return reply.headers["x-lookalike-shadow"].partition("; question=")[0]

    for about in ("How many vases?", "Describe it."):
        assert would(about, card("48.20")) == "miss; detail=first-asked"
    assert would("Describe it.", copy) == "near"
    assert would("Describe it.", copy, Guard="strict") == "miss; detail=guard-limit"
    assert would("Describe it.", copy, Threshold="1") == "miss; detail=new-picture"
    assert would("Describe it.", copy, Mode="pixel") == "miss; detail=rung-forbidden"
    assert would("How many vases?", copy) == "miss; detail=guard-limit"
    seen = observed(stage, folder)
    by_guard = [candidate for one in seen if one.doubt == "guard-limit" for candidate in one.candidates]
    assert [candidate.doubt for candidate in by_guard] == ["guard-limit"] * 2
    assert [one.candidates for one in seen if one.floor == 1.0] == [()]
    assert stage.stats()["shadow"]["kinds"] == {"counting": {"requests": 2, "hits": 0}}

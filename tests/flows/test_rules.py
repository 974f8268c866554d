"""Rules at work in a real gateway, seen by the official clients and on the wire."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI

from gateway.events import Event
from tests.fakes.pictures import card, data_url
from tests.flows.conftest import Build, Stage, wait_until_counted
from tests.flows.test_openai_sdk import QUESTION, ask

APPLE = "\n\nYou can look up the warranty on Apple's site. 🍏"
RULES: list[dict[str, Any]] = [
    {"name": "apple", "contains": "48.20", "append": APPLE, "tag": "warranty"},
    {"name": "disclaimer", "prepend": "[AI] ", "model": "qwen*"},
]
EDITED = "[AI] prices: 48.20" + APPLE


@pytest.fixture
def ruled(build: Build) -> Stage:
    return build(near=False, rules=RULES)


@pytest.fixture
def client(ruled: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{ruled.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        yield client


def streamed(client: OpenAI, **more: Any) -> str:
    chunks = client.chat.completions.create(**ask(data_url(card("48.20"))), stream=True, **more)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_the_sdk_gets_the_edited_answer_whole_on_a_miss_and_on_a_hit(ruled: Stage, client: OpenAI):
    for hit in ("fwd=miss", "hit"):
        reply = client.chat.completions.with_raw_response.create(**ask(data_url(card("48.20"))))
        completion = reply.parse()

        assert hit in reply.headers["cache-status"]
        assert completion.choices[0].message.content == EDITED
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 2
        assert reply.headers["x-lookalike-tags"] == "warranty"
        assert reply.headers["content-length"] == str(len(reply.content))
    assert ruled.upstream.calls == 1
    wait_until_counted(ruled, 2)
    assert ruled.stats()["rules"] == {"edited": 2, "tags": {"warranty": 2}, "left_alone": {}}


def test_the_sdk_gets_the_edited_answer_streamed_on_a_miss_and_on_a_hit(ruled: Stage, client: OpenAI):
    assert streamed(client) == EDITED
    assert streamed(client) == EDITED
    assert ruled.upstream.calls == 1
    assert client.chat.completions.create(**ask(data_url(card("43.20")))).choices[0].message.content == (
        "[AI] prices: 43.20"
    )


def test_a_stored_answer_gets_the_rules_that_are_in_force_now(ruled: Stage, client: OpenAI):
    assert streamed(client) == EDITED
    ruled.app.state.running.rulebook.replace([])

    assert streamed(client) == "prices: 48.20"
    assert ruled.upstream.calls == 1


def test_a_stream_with_a_replacement_is_held_until_it_is_whole(build: Build):
    stage = build(near=False, rules=[{"replace": [{"pattern": r"(\d+)\.(\d+)", "with": r"\1,\2 €"}], "tag": "euro"}])
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        assert streamed(client) == "prices: 48,20 €"
        assert streamed(client, stream_options={"include_usage": True}) == "prices: 48,20 €"
    reply = post(stage, stream=True)
    assert reply.headers["x-lookalike-tags"] == "euro"
    assert reply.headers["content-length"] == str(len(reply.content))


def test_a_stream_that_is_cut_stays_cut(build: Build):
    for rule in ({"append": "!"}, {"replace": [{"pattern": "p", "with": "q"}]}):
        stage = build(near=False, rules=[rule], cache_dir=Path("/nowhere"), store="memory")
        with OpenAI(base_url=f"{stage.gateway}/v1", api_key="k", max_retries=0) as client:
            headers = {"x-fake": "cut-after=3"}
            with pytest.raises((APIError, httpx.RemoteProtocolError)):
                streamed(client, extra_headers=headers)
        wait_until_counted(stage, 1)
        assert stage.stats()["rules"] == {"edited": 0, "tags": {}, "left_alone": {}}


def test_an_answer_that_a_rule_refuses_is_not_kept(build: Build):
    stage = build(near=False, rules=[{"matches": r"48\.\d\d", "keep": False}])
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        for _ in range(2):
            assert streamed(client) == "prices: 48.20"
    wait_until_counted(stage, 2)
    assert stage.upstream.calls == 2
    assert stage.stats()["not_stored"] == {"refused-by-rule": 2}


def test_without_a_rule_that_could_hold_the_reply_is_the_upstreams_own(build: Build):
    stage = build(near=False, rules=[{"model": "gpt-*", "append": "!"}, {"hit": "near", "append": "!"}])
    reply = post(stage, headers={"accept-encoding": "gzip", "x-fake": "gzip"})

    assert reply.headers["content-encoding"] == "gzip"
    assert stage.upstream.seen[-1].header("accept-encoding") == "gzip"
    assert reply.json()["choices"][0]["message"]["content"] == "prices: 48.20"


def test_an_answer_that_came_compressed_all_the_same_is_left_alone_and_counted(ruled: Stage):
    reply = post(ruled, headers={"accept-encoding": "gzip", "x-fake": "gzip"})

    assert ruled.upstream.seen[-1].header("accept-encoding") == "identity"
    assert reply.json()["choices"][0]["message"]["content"] == "prices: 48.20"
    wait_until_counted(ruled, 1)
    assert ruled.stats()["rules"]["left_alone"] == {"coded-reply": 1}


def test_an_error_of_the_upstream_and_a_tool_call_are_left_alone(ruled: Stage):
    failed = post(ruled, headers={"x-fake": "status=500"})
    called = post(ruled, headers={"x-fake": "finish=tool_calls"})

    assert failed.json()["error"]["message"] == "the fake was told to fail"
    assert called.json()["choices"][0]["message"]["content"] is None


def test_a_question_without_a_picture_gets_the_rules_too(ruled: Stage, client: OpenAI):
    completion = client.chat.completions.create(
        model="qwen3-vl-8b", messages=[{"role": "user", "content": "hi"}], extra_headers={"x-fake": "text=hello"}
    )

    assert completion.choices[0].message.content == "[AI] hello"


def test_an_answer_too_large_to_hold_goes_on_as_it_is(build: Build):
    stage = build(near=False, rules=[{"append": "!"}], reply_bytes_max=1024)
    text = "x" * 2000
    reply = post(stage, headers={"x-fake": f"text={text}"})

    assert reply.json()["choices"][0]["message"]["content"] == text
    wait_until_counted(stage, 1)
    assert stage.stats()["rules"]["left_alone"] == {"reply-too-large": 1}


def test_in_shadow_mode_rules_act_on_what_is_forwarded(build: Build):
    stage = build(near=False, rules=RULES, mode="shadow")
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        assert streamed(client) == EDITED
        assert streamed(client) == EDITED
    wait_until_counted(stage, 2)
    assert stage.stats()["shadow"]["agreed"] == 1


def post(stage: Stage, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = ask(data_url(card("48.20"))) | more
    return httpx.post(f"{stage.gateway}/v1/chat/completions", json=body, headers=headers, verify=False)


def test_a_fault_of_the_rules_costs_no_answer(ruled: Stage, client: OpenAI, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.rules.book.Rulebook.facing", lambda self, facts: 1 / 0)

    assert streamed(client) == streamed(client) == "prices: 48.20"
    wait_until_counted(ruled, 2)
    assert ruled.stats()["rules"]["left_alone"] == {"fault": 2}
    assert ruled.stats()["hits"]["exact"] == 1


@dataclass
class Heard:
    """Whom events and questions for labels go to."""

    events: list[Event] = field(default_factory=list)

    def publish(self, event: Event) -> None:
        self.events.append(event)


def test_who_is_to_be_told_is_told_once_the_answer_is_delivered(build: Build):
    rules = [{"name": "price", "contains": "prices", "notify": ["desk", "log"], "tag": "priced", "append": "!"}]
    stage = build(near=False, rules=rules)
    heard = Heard()
    stage.app.router.default._actors._events = heard  # type: ignore[attr-defined]
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        assert streamed(client) == streamed(client) == "prices: 48.20!"
        cut = {"x-fake": "cut-after=3", "cache-control": "no-cache"}
        with pytest.raises((APIError, httpx.RemoteProtocolError)):
            streamed(client, extra_headers=cut)
    wait_until_counted(stage, 3)
    missed, hit = heard.events

    assert (missed.rule, missed.webhooks, missed.tags) == ("price", ("desk", "log"), ("priced",))
    assert (missed.answer, missed.prompt, missed.hit, hit.hit) == ("prices: 48.20!", QUESTION, "miss", "exact")
    assert missed.entry == hit.entry is not None
    assert missed.tenant == hit.tenant
    assert len(missed.tenant) == 12
    assert missed.request != hit.request
    assert missed.model == "qwen3-vl-8b"

"""An upstream that refuses, stalls, errs and comes back; a second one; answers past their time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import anyio.to_thread
import httpx
import openai
import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.make import open_store
from gateway.server import InThread
from tests.fakes.asgi import lifespan
from tests.fakes.away import Away
from tests.fakes.pictures import card, jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, serving, wait_until_counted, wait_until_ready
from tests.flows.test_passthrough import question

MODEL_PATH = "/v1/chat/completions"


class Time:
    """Both clocks, which stand still but for what the test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.started_s = time.time()

    def wall(self) -> float:
        return self.started_s + self.ahead_s

    def monotonic(self) -> float:
        return 1_000.0 + self.ahead_s


@dataclass
class Play:
    stage: Stage
    time: Time

    def ask(self, file: bytes = b"", fake: str = "", **headers: str) -> httpx.Response:
        fields = {"x-fake": fake} | {name.replace("_", "-"): value for name, value in headers.items()}
        body = question(file or card("48.20"))
        return httpx.post(f"{self.stage.gateway}{MODEL_PATH}", json=body, headers=fields, timeout=30, verify=False)


@pytest.fixture
def away() -> Iterator[Away]:
    made = Away()
    yield made
    made.close()


Make = Callable[..., Play]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(near: bool = False, **settings: Any) -> Play:
            fake, clock = FakeUpstream(), Time()
            url = stack.enter_context(serving(fake))
            defaults = {"upstream": url, "cache_dir": tmp_path / "cache", "embedder": "dct", "embed_timeout_s": 60.0}
            chosen = Settings(**defaults | settings)

            async def made() -> Any:
                return create_app(chosen, open_store(chosen, clock.wall), clock.wall, clock.monotonic)

            server = stack.enter_context(InThread(made))
            stage = Stage(server.url, fake, url, None)  # type: ignore[arg-type]
            if near:
                wait_until_ready(stage)
            return Play(stage, clock)

        yield make


def said(reply: httpx.Response) -> str:
    return str(reply.json()["choices"][0]["message"]["content"])


# The breaker


def test_after_failures_in_a_row_the_upstream_is_not_asked_and_then_probed(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0)
    before = [stage.ask().status_code for _ in range(5)]
    refused = stage.ask()

    assert before == [502] * 5
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.json()["error"]["code"] == "upstream_down"
    assert stage.stage.health()["upstreams"] == {"first": {"breaker": "open", "opened": 1}}
    assert stage.stage.health()["status"] == "degraded"
    with away.back(FakeUpstream()):
        assert stage.ask().status_code == 503
        stage.time.ahead_s += 2
        assert said(stage.ask()) == "prices: 48.20"
    assert stage.stage.health()["upstreams"]["first"]["breaker"] == "closed"
    assert stage.stage.stats()["errors"] == {"upstream_unreachable": 5, "upstream_down": 2}


def test_a_probe_that_fails_opens_it_again(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, breaker_failures=1)
    statuses = [stage.ask().status_code, stage.ask().status_code]
    stage.time.ahead_s += 2
    statuses += [stage.ask().status_code, stage.ask().status_code]

    assert statuses == [502, 503, 502, 503]
    assert stage.stage.stats()["upstreams"]["first"]["opened"] == 2


def test_hits_are_served_while_it_is_open(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, breaker_failures=1)
    with away.back(FakeUpstream()):
        stage.ask()
    assert stage.ask(card("61.05")).status_code == 502
    assert stage.ask(card("61.05")).status_code == 503

    assert "detail=exact" in stage.ask().headers["cache-status"]


@pytest.mark.parametrize("trouble", ["status=503", "status=429", "status=500"])
def test_an_upstream_that_can_be_connected_to_is_asked_whatever_it_answers(play: Make, trouble: str):
    stage = play(breaker_failures=2)
    statuses = {stage.ask(fake=trouble).status_code for _ in range(6)}

    assert statuses == {int(trouble[-3:])}
    assert stage.stage.upstream.calls == 6


def test_errors_open_it_where_the_settings_say_so_and_4xx_never_do(play: Make):
    stage = play(breaker="errors", breaker_failures=2)
    for status in (429, 404, 500, 429):
        assert stage.ask(fake=f"status={status}").status_code == status
    statuses = [stage.ask(fake=f"status={status}").status_code for status in (503, 502, 504)]

    assert statuses == [503, 502, 503]
    assert stage.stage.upstream.calls == 6


def test_turned_off_it_never_opens(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, breaker="off")

    assert {stage.ask().status_code for _ in range(8)} == {502}
    assert stage.stage.health()["upstreams"] == {"first": {"breaker": "off", "opened": 0}}


def test_a_probe_with_a_long_answer_does_not_keep_others_waiting(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, breaker_failures=1)
    stage.ask()
    thinking, may_answer = threading.Event(), threading.Event()
    fake = FakeUpstream()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not thinking.is_set():
            thinking.set()
            await anyio.to_thread.run_sync(may_answer.wait)
        await fake(scope, receive, send)

    with away.back(slow):
        stage.time.ahead_s += 2
        probe = threading.Thread(target=stage.ask)
        probe.start()
        assert thinking.wait(10)
        assert said(stage.ask(card("61.05"))) == "prices: 61.05"
        may_answer.set()
        probe.join()


def test_official_clients_see_an_error_of_their_own_kind_and_when_to_ask_again(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, breaker_failures=1)
    stage.ask()
    with (
        openai.OpenAI(base_url=f"{stage.stage.gateway}/v1", api_key="k", max_retries=0) as asks,
        pytest.raises(openai.InternalServerError) as openais,
    ):
        asks.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
    with (
        anthropic.Anthropic(base_url=stage.stage.gateway, api_key="k", max_retries=0) as claude,
        pytest.raises(anthropic.InternalServerError) as anthropics,
    ):
        claude.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}])

    for error in (openais.value, anthropics.value):
        assert error.status_code == 503
        assert error.response.headers["retry-after"] == "2"
        assert "failed too often" in str(error)


# Connecting


def test_connecting_is_tried_again_and_a_request_that_was_sent_never_is(play: Make):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        got: list[bytes] = []

        def take_and_hang_up() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    got.append(connection.recv(1000))

        thread = threading.Thread(target=take_and_hang_up, daemon=True)
        thread.start()
        stage = play(upstream=f"http://127.0.0.1:{listener.getsockname()[1]}", connect_retries=3)
        reply = stage.ask()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()

    assert reply.json()["error"]["code"] == "upstream_error"
    assert len(got) == 1


def test_a_second_attempt_to_connect_reaches_an_upstream_that_was_just_restarted(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=2, breaker="off")  # the last after half a second
    replies: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: replies.append(stage.ask()))
    asking.start()
    with away.back(FakeUpstream()):
        asking.join()

    assert said(replies[0]) == "prices: 48.20"


def test_no_free_connection_is_a_503_that_says_when_to_ask_again(play: Make):
    stage = play(upstream_connections_max=1, read_timeout_s=0.3)
    body = question(card("48.20")) | {"stream": True}
    with httpx.stream(
        "POST", f"{stage.stage.gateway}{MODEL_PATH}", json=body, headers={"x-fake": "pause=0.2"}
    ) as reply:
        refused = stage.ask(card("61.05"))
        list(reply.iter_raw())

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "upstream_busy"


# A second upstream


@pytest.fixture
def second() -> Iterator[tuple[FakeUpstream, str]]:
    fake = FakeUpstream()
    with serving(fake) as url:
        yield fake, url


Second = tuple[FakeUpstream, str]


def test_a_second_upstream_answers_and_its_answers_are_not_stored_as_the_firsts(play: Make, away: Away, second: Second):
    stage = play(upstream=f"{away.url}/v1", upstream_fallback=f"{second[1]}/other/v1", connect_retries=0)
    replies = [stage.ask(authorization="Bearer mine") for _ in range(2)]

    assert [said(reply) for reply in replies] == ["prices: 48.20"] * 2
    assert {reply.headers["x-lookalike-upstream"] for reply in replies} == {"fallback"}
    assert {seen.path for seen in second[0].seen} == {"/other/v1/chat/completions"}
    assert {seen.header("authorization") for seen in second[0].seen} == {"Bearer mine"}
    stats = stage.stage.stats()
    assert stats["not_stored"] == {"other-upstream": 2}
    assert (stats["from_fallback"], stats["store"]["entries"], stats["errors"]) == (2, 0, {})


def test_answers_of_a_second_with_the_same_weights_are_the_firsts(play: Make, away: Away, second: Second):
    stage = play(upstream=away.url, upstream_fallback=second[1], upstream_fallback_same=True, connect_retries=0)
    stage.ask()
    wait_until_counted(stage.stage, 1)
    with away.back(FakeUpstream()):
        again = stage.ask()

    assert "detail=exact" in again.headers["cache-status"]
    assert second[0].calls == 1


def test_a_first_whose_breaker_is_open_is_not_tried_before_the_second(play: Make, away: Away, second: Second):
    stage = play(upstream=away.url, upstream_fallback=second[1], connect_retries=0, breaker_failures=1)
    stage.ask()
    with away.back(fake := FakeUpstream()):
        assert stage.ask().headers["x-lookalike-upstream"] == "fallback"
        assert fake.calls == 0
        stage.time.ahead_s += 2
        assert "x-lookalike-upstream" not in stage.ask().headers


def test_its_own_key_takes_the_place_of_the_clients(play: Make, away: Away, second: Second):
    stage = play(upstream=away.url, upstream_fallback=second[1], upstream_fallback_key="theirs", connect_retries=0)
    stage.ask(authorization="Bearer mine", cookie="mine=1")
    stage.ask(x_api_key="mine", anthropic_version="1")

    for seen, expected in zip(
        second[0].seen, [{"authorization": "Bearer theirs"}, {"x-api-key": "theirs"}], strict=True
    ):
        assert expected.items() <= dict(seen.headers).items()
        assert not any("mine" in value for _, value in seen.headers)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_error_of_the_first_is_passed_on_unless_the_settings_send_it_elsewhere(
    play: Make, second: Second, status: int
):
    plain = play(upstream_fallback=second[1])
    assert plain.ask(fake=f"status={status}").status_code == status
    assert second[0].calls == 0


def test_an_error_of_the_first_sends_it_to_the_second(play: Make, away: Away, second: Second):
    async def full(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"x-who", b"first")]})
        return await send({"type": "http.response.body", "body": b"full"})

    stage = play(upstream=away.url, upstream_fallback=second[1], upstream_fallback_on="errors")
    with away.back(full):
        assert said(stage.ask()) == "prices: 48.20"
        both = stage.ask(fake="status=429")

    assert (both.status_code, both.headers["x-who"], both.content) == (503, "first", b"full")  # the first's own words
    assert "x-lookalike-upstream" not in both.headers


def test_a_request_that_the_first_got_and_did_not_answer_is_not_sent_again(play: Make, second: Second):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stage = play(upstream=url, upstream_fallback=second[1], upstream_fallback_on="errors", read_timeout_s=0.2)

        assert stage.ask().json()["error"]["code"] == "upstream_timeout"
    assert second[0].calls == 0


def test_if_both_cannot_be_reached_the_first_is_named(play: Make, away: Away):
    other = Away()
    stage = play(upstream=away.url, upstream_fallback=other.url, connect_retries=0)
    reply = stage.ask()
    other.close()

    assert reply.status_code == 502
    assert away.url in reply.json()["error"]["message"]


def test_an_upload_that_streams_past_the_cache_reaches_the_second_whole(play: Make, away: Away, second: Second):
    stage = play(upstream=away.url, upstream_fallback=second[1], connect_retries=0)

    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 100_000, b"y" * 100_000)

    reply = httpx.put(f"{stage.stage.gateway}/upload", content=chunks()).json()

    assert reply["body_bytes"] == 200_000


# Answers past their time


def test_an_answer_past_its_time_stands_in_for_an_upstream_that_is_away(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, ttl_s=100, stale_if_error_s=50)
    with away.back(FakeUpstream()):
        stage.ask()
        wait_until_counted(stage.stage, 1)
        stage.time.ahead_s = 110
        assert stage.ask().headers["cache-status"] == "lookalike; fwd=stale; detail=stale"  # asked, and stored anew
        wait_until_counted(stage.stage, 2)
    stage.time.ahead_s = 220
    reply = stage.ask()

    assert said(reply) == "prices: 48.20"
    assert reply.headers["cache-status"] == "lookalike; hit; ttl=-10; detail=stale"
    assert reply.headers["age"] == "110"
    stats = stage.stage.stats()
    assert (stats["stale_hits"], stats["hits"]["exact"], stats["errors"]) == (1, 1, {})
    stage.time.ahead_s = 270
    assert stage.ask().status_code == 502
    assert stage.stage.stats()["store"]["entries"] == 0


@pytest.mark.parametrize("trouble", ["status=500", "status=502", "status=503", "status=504"])
def test_an_answer_past_its_time_stands_in_for_an_error(play: Make, trouble: str):
    stage = play(ttl_s=100, stale_if_error_s=50)
    stage.ask()
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120

    assert stage.ask(fake=trouble).headers["cache-status"].endswith("; detail=stale")
    assert stage.ask(card("61.05"), fake=trouble).status_code == int(trouble[-3:])  # nothing is known of this one
    assert stage.ask(fake="status=429").status_code == 429


def test_an_answer_past_its_time_stands_in_for_silence_and_for_an_open_breaker(play: Make, away: Away):
    stage = play(upstream=away.url, connect_retries=0, ttl_s=100, stale_if_error_s=50, breaker_failures=1)
    with away.back(FakeUpstream()):
        stage.ask()
        wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120
    replies = [stage.ask(), stage.ask()]

    assert [reply.headers["cache-status"].endswith("; detail=stale") for reply in replies] == [True, True]
    assert stage.stage.health()["upstreams"]["first"] == {"breaker": "open", "opened": 1}


def test_a_stale_answer_is_found_by_pixels_and_by_the_guard_and_not_for_another_picture(play: Make):
    stage = play(near=True, ttl_s=100, stale_if_error_s=50)
    stage.ask(png(cards.draw("48.20")))
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120
    down = {"fake": "status=503"}

    assert stage.ask(png(cards.draw("48.20"), compress_level=1), **down).headers["cache-status"].endswith("stale")
    assert stage.ask(jpeg(cards.draw("48.20"), 88), **down).headers["cache-status"].endswith("stale")
    assert stage.ask(png(cards.draw("48.70")), **down).status_code == 503
    stats = stage.stage.stats()
    assert stats["stale_hits"] == 2
    assert (stats["hits"]["pixel"], stats["hits"]["near"]) == (1, 1)


@pytest.mark.parametrize("wish", ["no-cache", "max-age=110", "min-fresh=1", "stale-if-error=10", "stale-if-error=soon"])
def test_a_callers_wishes_keep_a_stale_answer_from_it(play: Make, wish: str):
    stage = play(ttl_s=100, stale_if_error_s=50)
    stage.ask()
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120

    assert stage.ask(fake="status=503", cache_control=wish).status_code == 503
    assert stage.ask(fake="status=503", cache_control="stale-if-error=30, max-age=130").status_code == 200


def test_without_the_setting_nothing_past_its_time_is_kept(play: Make):
    stage = play(ttl_s=100)
    stage.ask()
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 101

    assert stage.ask(fake="status=503").status_code == 503
    assert stage.stage.stats()["store"]["entries"] == 0


def test_a_stream_that_breaks_off_is_broken_off_though_a_stale_answer_is_there(play: Make):
    stage = play(ttl_s=100, stale_if_error_s=50)
    body = question(card("48.20")) | {"stream": True}
    url = f"{stage.stage.gateway}{MODEL_PATH}"
    httpx.post(url, json=body)
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(url, json=body, headers={"x-fake": "cut-after=2"})

    assert "detail=stale" in httpx.post(url, json=body, headers={"x-fake": "status=503"}).headers["cache-status"]


def test_the_operators_rules_hold_for_a_stale_answer_too(play: Make):
    stage = play(ttl_s=100, stale_if_error_s=50, rules=[{"hit": ["exact"], "append": " (stored)"}])
    stage.ask()
    wait_until_counted(stage.stage, 1)
    stage.time.ahead_s = 120

    assert said(stage.ask(fake="status=503")) == "prices: 48.20 (stored)"

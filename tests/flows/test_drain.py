"""Told to stop: replies end, answers are stored, the ledger is written; told again, sooner."""

import json
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.reload import Live, reread
from gateway.server import server
from tests.fakes.asgi import lifespan
from tests.fakes.pictures import card
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Build, Stage, serving
from tests.flows.test_passthrough import eventually, question
from tests.flows.test_restart import ask, process, ready

STREAM = question(card("48.20")) | {"stream": True}


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/cache/health/live", verify=False)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:  # it was in the queue when the door was shut
        return False
    return False


@contextmanager
def streaming(url: str, fake: str) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
    """A stream of which the first bytes have come."""
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=STREAM, headers={"x-fake": fake}, timeout=60) as reply:
        chunks = reply.iter_raw()
        next(chunks)
        yield reply, chunks


@pytest.mark.slow
def test_a_stream_under_way_ends_well_and_is_stored_while_new_connections_are_refused(tmp_path: Path):
    config = tmp_path / "lookalike.toml"
    config.write_text("drain_s = 60\n")
    flags = ("--config", str(config))
    with serving(FakeUpstream()) as upstream:
        with process(upstream, tmp_path / "cache", *flags) as (url, child), httpx.Client(base_url=url) as idle:
            ready(url, child)
            idle.get("/cache/health/ready").raise_for_status()
            with streaming(url, "pause=0.6") as (_, chunks):
                child.send_signal(signal.SIGTERM)
                assert eventually(lambda: refuses(url))
                with pytest.raises(httpx.TransportError):
                    idle.get("/cache/health/ready")  # its connection was closed, and there is no other
                rest = b"".join(chunks)
            assert child.wait(timeout=30) in (0, -signal.SIGTERM)
        with process(upstream, tmp_path / "cache") as (url, child):
            ready(url, child)
            stats = httpx.get(f"{url}/cache/stats").json()
            again = httpx.post(f"{url}/v1/chat/completions", json=STREAM)

    assert rest.endswith(b"data: [DONE]\n\n")
    assert (stats["requests"], stats["stored"], stats["store"]["entries"]) == (1, 1, 1)
    assert "detail=exact" in again.headers["cache-status"]


@pytest.mark.slow
def test_a_stream_without_an_end_is_cut_off_when_the_time_is_over(tmp_path: Path):
    config = tmp_path / "lookalike.toml"
    config.write_text("drain_s = 0.5\n")
    fake = FakeUpstream()
    with (
        serving(fake) as upstream,
        process(upstream, tmp_path / "cache", "--config", str(config)) as (url, child),
    ):
        ready(url, child)
        with streaming(url, "forever") as (_, chunks):
            child.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                list(chunks)
        assert child.wait(timeout=30) in (0, -signal.SIGTERM)
        assert fake.left.wait(5)  # the model need not go on for nobody


@pytest.mark.slow
@pytest.mark.parametrize("told", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)])
def test_told_twice_it_cuts_off_at_once_and_loses_nothing_that_was_answered(
    tmp_path: Path, told: tuple[signal.Signals, signal.Signals]
):
    config = tmp_path / "lookalike.toml"
    config.write_text("drain_s = 600\n")
    fake = FakeUpstream()
    with serving(fake) as upstream:
        with process(upstream, tmp_path / "cache", "--config", str(config)) as (url, child):
            ready(url, child)
            ask(url, card("61.05"))
            with streaming(url, "forever") as (_, chunks):
                child.send_signal(told[0])
                assert eventually(lambda: refuses(url))
                child.send_signal(told[1])
                with pytest.raises(httpx.TransportError):
                    list(chunks)
            _, said = child.communicate(timeout=30)
        with process(upstream, tmp_path / "cache") as (url, child):
            ready(url, child)
            stats = httpx.get(f"{url}/cache/stats").json()

    assert "Traceback" not in said
    assert fake.left.wait(5)
    assert (stats["requests"], stats["store"]["entries"]) == (2, 1)
    assert stats["errors"] == {"client-gone": 1}


@pytest.mark.anyio
async def test_what_goes_on_after_a_reply_was_sent_is_waited_for_though_the_time_is_over():
    storing, stored, stopped = anyio.Event(), anyio.Event(), anyio.Event()
    finished: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            finished.append("closed")
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        storing.set()
        await stored.wait()
        finished.append("stored")

    told = anyio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serves = server(app, "127.0.0.1", 0, drain_s=0, draining=told.set)
        async with anyio.create_task_group() as tasks:

            async def serve() -> None:
                await serves.serve(sockets=[listener])
                stopped.set()

            tasks.start_soon(serve)
            async with httpx.AsyncClient(verify=False) as client:
                await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            await storing.wait()
            serves.should_exit = True
            await told.wait()
            assert not stopped.is_set()
            stored.set()
            with anyio.fail_after(10):
                await stopped.wait()

    assert finished == ["stored", "closed"]


def test_a_gateway_that_was_told_to_stop_is_not_ready(stage: Stage):
    assert httpx.get(f"{stage.gateway}/cache/health/ready").status_code == 200
    stage.app.state.running.drain()
    ready = httpx.get(f"{stage.gateway}/cache/health/ready")

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert httpx.get(f"{stage.gateway}/cache/health/live").status_code == 200


# Settings read again

PRICE = {"input_per_million": 1.0, "output_per_million": 1.0, "currency": "EUR"}
MODEL = '[prices."m"]\ninput_per_million = {0}\noutput_per_million = {0}\ncurrency = "EUR"\n'
RULE = '[[rules]]\nappend = " (from a machine)"\n'


@pytest.mark.slow
def test_prices_and_rules_are_read_again_on_sighup_and_a_file_with_a_mistake_changes_nothing(tmp_path: Path):
    config = tmp_path / "lookalike.toml"
    config.write_text(MODEL.format(1000))
    with (
        serving(FakeUpstream()) as upstream,
        process(upstream, tmp_path / "cache", "--config", str(config)) as (url, child),
    ):

        def price() -> float:
            return float(httpx.get(f"{url}/cache/stats", verify=False).json()["prices"]["m"]["input_per_million"])

        ready(url, child)
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(child.stderr or ()))
        reader.start()
        for _ in range(2):
            ask(url, card("48.20"))
        config.write_text("ttl_s = 60\n" + MODEL.format(2000) + RULE)
        child.send_signal(signal.SIGHUP)
        assert eventually(lambda: price() == 2000)
        marked = httpx.post(f"{url}/v1/chat/completions", json=question(card("48.20"))).json()
        config.write_text("no_such_setting = 1\n" + MODEL.format(3000))
        child.send_signal(signal.SIGHUP)
        assert eventually(lambda: any("no_such_setting" in line for line in lines))
        saved = httpx.get(f"{url}/cache/stats").json()["saved"]["money"]
        assert price() == 2000
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)
        reader.join()

    said = "".join(lines)
    assert marked["choices"][0]["message"]["content"] == "prices: 48.20 (from a machine)"
    tokens = 800 + 2
    assert saved == {"EUR": pytest.approx(tokens * 1000 / 1e6 + tokens * 2000 / 1e6)}
    assert "changed: rules, prices" in said
    assert "next start on: ttl_s" in said


def test_what_cannot_be_read_changes_nothing_and_is_told(caplog: pytest.LogCaptureFixture):
    live = Live(Settings(upstream="http://h", prices={"m": PRICE}))

    def broken() -> Settings:
        raise ConfigError("prices.m: is needed")

    reread(live, broken, live.take)
    assert "stay as they were: prices.m: is needed" in caplog.text
    assert live.price("m") is not None


def test_only_what_may_change_does_and_the_rest_is_named(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    live = Live(Settings(upstream="http://h"))
    reread(live, lambda: Settings(upstream="http://other", port=9, prices={"m": PRICE}), live.take)

    assert (live.settings.upstream, live.settings.port) == ("http://h", 8080)
    assert json.loads(live.settings.prices["m"].model_dump_json())["currency"] == "EUR"
    assert "changed: prices" in caplog.text
    assert "upstream, port" in caplog.text


def test_rules_that_need_what_the_gateway_was_not_started_with_change_nothing(build: Build) -> None:
    running = build().app.state.running
    hook = {"name": "late", "url": "http://127.0.0.1:9/", "secret": "0123456789abcdef"}
    read = Settings(
        upstream=running.settings.upstream,
        webhooks=[hook],
        rules=[{"name": "r", "contains": ["x"], "notify": ["late"]}],
    )
    with pytest.raises(ValueError, match='there is no webhook "late"'):
        running.reload(read)

    assert running.rulebook.rules == ()

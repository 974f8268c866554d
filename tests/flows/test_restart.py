"""The product as a process: started by its command, killed, started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.demo import cards
from tests.fakes.pictures import card, jpeg, png
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import serving
from tests.flows.test_passthrough import question

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def process(upstream: str, folder: Path, *flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "gateway", "serve", "--upstream", upstream, "--port", port]
    command += ["--cache-dir", str(folder), "--embedder", "dct", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield f"http://127.0.0.1:{port}", child
        finally:
            child.kill()


def ready(url: str, child: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{url}/cache/health").json()["embedder"]["state"] == "ready":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start: {child.stderr.read() if child.stderr else ''}")


def ask(url: str, file: bytes) -> str:
    return httpx.post(f"{url}/v1/chat/completions", json=question(file), timeout=30).headers["cache-status"]


def test_a_kill_loses_no_stored_answer_and_a_restart_serves_near_hits(tmp_path: Path):
    with serving(FakeUpstream()) as upstream:
        with process(upstream, tmp_path) as (url, child):
            ready(url, child)
            ask(url, png(cards.draw("48.20")))
            assert httpx.get(f"{url}/cache/stats").json()["store"]["entries"] == 1
            child.send_signal(signal.SIGKILL)
            child.wait()
        with process(upstream, tmp_path) as (url, child):
            ready(url, child)
            assert "detail=near" in ask(url, jpeg(cards.draw("48.20"), 88))


def test_under_strict_privacy_a_kill_loses_near_hits_and_nothing_else(tmp_path: Path):
    with serving(FakeUpstream()) as upstream:
        with process(upstream, tmp_path, "--privacy", "strict") as (url, child):
            ready(url, child)
            ask(url, png(cards.draw("48.20")))
            assert "detail=near" in ask(url, jpeg(cards.draw("48.20"), 90))
            child.send_signal(signal.SIGKILL)
            child.wait()
        with process(upstream, tmp_path, "--privacy", "strict") as (url, child):
            ready(url, child)
            assert "detail=exact" in ask(url, png(cards.draw("48.20")))
            assert "detail=pixel" in ask(url, png(cards.draw("48.20"), compress_level=1))
            assert "detail=new-picture" in ask(url, jpeg(cards.draw("48.20"), 88))


def test_a_clean_stop_keeps_answers_and_counters(tmp_path: Path):
    with serving(FakeUpstream()) as upstream:
        with process(upstream, tmp_path) as (url, child):
            ready(url, child)
            for _ in range(3):
                ask(url, card("48.20"))
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=30) in (0, -signal.SIGTERM)
        with process(upstream, tmp_path) as (url, child):
            ready(url, child)
            stats = httpx.get(f"{url}/cache/stats").json()

    assert stats["hits"]["exact"] == 2
    assert stats["misses"]["by_reason"] == {"first-asked": 1}
    assert stats["store"]["entries"] == 1


def test_a_second_gateway_on_the_same_directory_is_refused_in_words(tmp_path: Path):
    with serving(FakeUpstream()) as upstream, process(upstream, tmp_path) as (url, child):
        ready(url, child)
        with process(upstream, tmp_path) as (_, second):
            _, said = second.communicate(timeout=60)

        assert second.returncode == 1
        assert str(tmp_path) in said
        assert "Traceback" not in said
        assert httpx.get(f"{url}/cache/health").status_code == 200


def test_a_port_that_is_taken_is_told_in_words(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "gateway", "serve", "--upstream", "http://127.0.0.1:9", "--embedder", "dct"]
        taken_port = taken.getsockname()[1]
        command += ["--port", str(taken_port), "--cache-dir", str(tmp_path)]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert said.returncode == 1
    assert f"port {taken_port} of 127.0.0.1 is in use: give another with --port" in said.stderr
    assert "Traceback" not in said.stderr


def test_clip_by_name_without_weights_is_a_start_up_error_that_names_remedies(tmp_path: Path):
    missing = str(tmp_path / "no-such-checkpoint.pt")
    with (
        serving(FakeUpstream()) as upstream,
        process(upstream, tmp_path, "--embedder", "clip", "--clip-pretrained", missing) as (_, child),
    ):
        _, said = child.communicate(timeout=120)

    assert child.returncode == 1
    assert "dct" in said
    assert "Traceback" not in said


def test_auto_without_weights_says_loudly_that_it_falls_back(tmp_path: Path):
    missing = str(tmp_path / "no-such-checkpoint.pt")
    with (
        serving(FakeUpstream()) as upstream,
        process(upstream, tmp_path, "--embedder", "auto", "--clip-pretrained", missing) as (url, child),
    ):
        ready(url, child)
        health = httpx.get(f"{url}/cache/health").json()["embedder"]
        stats = httpx.get(f"{url}/cache/stats").json()["embedder"]
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=30)

    assert health["space"].startswith("dct")
    assert "fallback" in health
    assert health["fallback"] == stats["fallback"]
    assert "WARNING" in said
    assert os.path.basename(missing) in said


def test_no_log_line_holds_a_prompt_a_picture_or_a_credential(tmp_path: Path):
    with serving(FakeUpstream()) as upstream, process(upstream, tmp_path, "--log-format", "json") as (url, child):
        ready(url, child)
        body = question(card("48.20"))
        headers = {"authorization": "Bearer sk-very-secret"}
        for _ in range(2):
            httpx.post(f"{url}/v1/chat/completions?api-key=query-secret", json=body, headers=headers)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=30)

    assert '"cache":"exact"' in said
    written = said.encode() + b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for secret in (b"sk-very-secret", b"query-secret", b"Price?", b"iVBORw0KGgo"):
        assert secret not in written

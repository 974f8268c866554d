"""More than there is memory for is refused before it is read, and the process stays as small as it was told."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest

from tests.fakes.asgi import lifespan, send_json
from tests.fakes.pictures import card
from tests.flows.conftest import Build, serving
from tests.flows.test_passthrough import eventually, question
from tests.flows.test_restart import process, ready

MIB = 2**20


def test_a_body_that_does_not_fit_is_refused_before_a_byte_of_it_is_read(build: Build):
    stage = build(near=False, held_bytes_max=MIB)
    body = question(card("48.20")) | {"stream": True}
    with httpx.stream(
        "POST", f"{stage.gateway}/v1/chat/completions", json=body, headers={"x-fake": "forever"}
    ) as reply:
        chunks = reply.iter_raw()  # while it is referred to, the stream is open
        next(chunks)
        with socket.create_connection(("127.0.0.1", int(stage.gateway.rpartition(":")[2])), timeout=10) as client:
            head = "POST /v1/messages HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n"
            client.sendall(head.encode())
            said = client.recv(10_000).decode()
        passing = httpx.put(f"{stage.gateway}/upload", content=bytes(2 * MIB))  # what only passes is not held
        chunks.close()

    fields, _, error = said.partition("\r\n\r\n")
    assert fields.startswith("HTTP/1.1 503 ")
    assert "retry-after: 1" in fields
    assert "cache-status: lookalike; detail=overloaded" in fields
    assert json.loads(error)["type"] == "error"  # as Anthropic's clients know it
    assert passing.json()["body_bytes"] == 2 * MIB
    stats = stage.stats()
    assert (stats["load"]["shed"], stats["errors"]["overloaded"]) == (1, 1)


def test_a_body_of_unknown_length_is_refused_once_it_does_not_fit(build: Build):
    stage = build(near=False, held_bytes_max=MIB)
    url, body = f"{stage.gateway}/v1/chat/completions", question(card("48.20")) | {"stream": True}
    with httpx.stream("POST", url, json=body, headers={"x-fake": "forever"}) as reply:
        chunks = reply.iter_raw()  # while it is referred to, the stream is open
        next(chunks)
        refused = httpx.post(url, content=iter([bytes(300_000)] * 4))

        chunks.close()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "overloaded"
    assert stage.upstream.calls == 1
    assert eventually(lambda: stage.stats()["load"]["held_bytes"] == 0)


def test_more_requests_than_allowed_are_refused_and_cache_endpoints_still_answer(build: Build):
    stage = build(near=False, requests_max=1)
    url, body = f"{stage.gateway}/v1/chat/completions", question(card("48.20")) | {"stream": True}
    with httpx.stream("POST", url, json=body, headers={"x-fake": "forever"}) as reply:
        chunks = reply.iter_raw()  # while it is referred to, the stream is open
        next(chunks)
        refused = httpx.get(f"{stage.gateway}/v1/models")
        assert stage.health()["load"]["requests"] == 1
        chunks.close()

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert eventually(lambda: stage.health()["load"]["requests"] == 0)
    assert httpx.get(f"{stage.gateway}/v1/models").status_code == 200


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_many_large_bodies_at_once_stay_within_the_memory_that_they_may_take(tmp_path: Path):
    held, size, clients = 160 * MIB, 16 * MIB, 24
    may_answer = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        while (await receive()).get("more_body"):
            pass
        await anyio.to_thread.run_sync(may_answer.wait)
        return await send_json(send, {})

    config = tmp_path / "lookalike.toml"
    config.write_text(f"held_bytes_max = {held}\n")
    body = json.dumps(question(bytes(size * 3 // 4))).encode()
    with serving(slow) as upstream, process(upstream, tmp_path / "cache", "--config", str(config)) as (url, child):
        ready(url, child)
        before = peak_bytes(child.pid)

        def ask(_: int) -> int:
            status = httpx.post(f"{url}/v1/chat/completions", content=body, timeout=60, verify=False).status_code
            if status == 503:
                refused.release()
            return status

        refused = threading.Semaphore(0)
        with ThreadPoolExecutor(clients) as asking:
            statuses = asking.map(ask, range(clients))
            for _ in range(clients - held // (3 * len(body))):
                assert refused.acquire(timeout=60)
            may_answer.set()
            counted = sorted(statuses)
        grown = peak_bytes(child.pid) - before

    assert counted == [200] * (held // (3 * len(body))) + [503] * (clients - held // (3 * len(body)))
    assert grown < held + 32 * MIB

"""A wall clock that jumps: answers are older or younger by it, and nothing else comes of it."""

import time
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.make import open_store
from gateway.server import InThread
from tests.fakes.pictures import card
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import serving
from tests.flows.test_passthrough import question

DAY_S = 86_400.0


class Jumping:
    """The clock of the machine, set wrong by `by_s`."""

    by_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.by_s


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 365 * DAY_S, -365 * DAY_S])
def test_answers_are_right_before_and_after_a_step(tmp_path: Path, step_s: float):
    clock, fake = Jumping(), FakeUpstream()
    with serving(fake) as upstream:
        settings = Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct")

        async def made():
            return create_app(settings, open_store(settings, clock), clock)

        with InThread(made) as server, httpx.Client(base_url=server.url, timeout=60) as client:

            def ask(price: str) -> str:
                reply = client.post("/v1/chat/completions", json=question(card(price)))
                assert reply.json()["choices"][0]["message"]["content"] == f"prices: {price}"
                assert int(reply.headers.get("age", "0")) >= 0
                client.get("/cache/stats").raise_for_status()  # the answer is stored when it is counted
                return reply.headers["cache-status"]

            ask("11.11")
            assert "; hit;" in ask("11.11")
            clock.by_s = step_s
            status = ask("11.11")
            assert ("; hit;" in status) == (step_s < settings.ttl_s)
            assert "; hit;" in ask("11.11")
            ask("22.22")
            assert "; hit;" in ask("22.22")
            clock.by_s = 0.0
            assert ("; hit;" in ask("22.22")) == (step_s > -settings.ttl_s)  # it was stored as an old answer
            counted = client.get("/cache/stats").json()
            assert counted["requests"] == 7
            assert client.get("/cache/health?check=store").json()["store"]["wrong"] == []
            assert client.get("/cache/dashboard").status_code == 200

"""Never in the way: whatever breaks in the cache, the upstream still answers, and the fault is counted."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cache.errors import StoreFault
from cache.stores.memory import MemoryStore
from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.server import InThread
from tests.fakes.pictures import card, jpeg
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, serving, wait_until_ready
from tests.flows.test_passthrough import question


class FailingStore(MemoryStore):
    """A store whose named methods fail, as a disk that is gone makes them fail."""

    def __init__(self, *failing: str) -> None:
        super().__init__(time.time, 2**30)
        self.failing = set(failing)

    def __getattribute__(self, name: str) -> Any:
        if name != "failing" and name in self.failing:
            raise StoreFault(f"{name}: the disk is gone")
        return super().__getattribute__(name)


@contextmanager
def stage_on(store: MemoryStore, tmp_path: Path) -> Iterator[Stage]:
    fake = FakeUpstream()
    apps: list[Any] = []

    with serving(fake) as upstream:

        async def made() -> Any:
            apps.append(
                create_app(Settings(upstream=upstream, cache_dir=tmp_path, embedder="dct", store="memory"), store)
            )
            return apps[0]

        with InThread(made) as server:
            stage = Stage(server.url, fake, upstream, apps[0])
            wait_until_ready(stage)
            yield stage


def answer(stage: Stage, file: bytes) -> httpx.Response:
    reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(file), timeout=30)
    assert reply.json()["choices"][0]["message"]["content"] == "prices: 48.20"
    return reply


@pytest.mark.parametrize("method", ["exact", "asked", "sized", "pixel", "nearest", "evidence"])
def test_a_store_that_fails_at_a_lookup_makes_a_miss(tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)
    store = FailingStore()
    with stage_on(store, tmp_path) as stage:
        answer(stage, card("48.20"))
        store.failing = {method}
        copy = jpeg(cards.draw("48.20"), 88)
        assert answer(stage, copy).headers["cache-status"] == "lookalike; fwd=bypass; detail=cache-fault"
        store.failing = set()

        assert stage.stats()["bypasses"]["by_reason"] == {"cache-fault": 1}
        assert "hit" in answer(stage, copy).headers["cache-status"]


def test_a_store_that_cannot_write_still_lets_answers_through(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)
    with stage_on(FailingStore("put"), tmp_path) as stage:
        for _ in range(2):
            answer(stage, card("48.20"))

        assert stage.stats()["not_stored"] == {"store-fault": 2}


def test_evidence_that_is_damaged_is_a_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)

    class Damaged(MemoryStore):
        async def evidence(self, entry_id: str) -> tuple[bytes, ...]:
            return (b"not evidence",)

    with stage_on(Damaged(time.time, 2**30), tmp_path) as stage:
        answer(stage, card("48.20"))

        assert "hit" not in answer(stage, jpeg(cards.draw("48.20"), 88)).headers["cache-status"]


def test_a_reply_row_that_is_damaged_is_a_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)

    class Damaged(MemoryStore):
        async def reply(self, entry_id: str) -> bytes | None:
            return b"not a reply"

    with stage_on(Damaged(time.time, 2**30), tmp_path) as stage:
        answer(stage, card("48.20"))

        again = answer(stage, card("48.20")).headers["cache-status"]
        assert again == "lookalike; fwd=miss; detail=stored-answer-unreadable"
        assert stage.stats()["store"]["entries"] == 1  # the damaged one is forgotten, the new answer is kept


def test_a_picture_that_the_upstream_reads_and_we_do_not_is_forwarded(tmp_path: Path):
    with stage_on(MemoryStore(time.time, 2**30), tmp_path) as stage:
        for _ in range(2):
            reply = httpx.post(
                f"{stage.gateway}/v1/chat/completions",
                json=question(b"a format of the future"),
                headers={"x-fake": "text=fine"},
            )

        assert reply.json()["choices"][0]["message"]["content"] == "fine"
        assert stage.upstream.calls == 2
        assert stage.stats()["not_stored"] == {"picture-unreadable-here": 2}

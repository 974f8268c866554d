"""Never in the way: whatever breaks in the cache, the upstream still answers, and the fault is counted."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from cache.errors import StoreFault
from cache.stores.memory import MemoryStore
from embeddings.base import RGB, Loaded, Vectors
from embeddings.dct import DctEmbedder
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
def stage_on(store: MemoryStore, tmp_path: Path, **settings: Any) -> Iterator[Stage]:
    fake = FakeUpstream()
    apps: list[Any] = []

    with serving(fake) as upstream:

        async def made() -> Any:
            given = {"embedder": "dct", "store": "memory"} | settings
            apps.append(create_app(Settings(upstream=upstream, cache_dir=tmp_path, **given), store))
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


class Stuck(MemoryStore):
    """A store on a disk that does not come back, while its `stuck` methods are asked."""

    def __init__(self) -> None:
        super().__init__(time.time, 2**30)
        self.stuck: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if name != "stuck" and name in self.stuck:
            return _never
        return super().__getattribute__(name)


async def _never(*given: Any) -> Any:
    await anyio.sleep_forever()


@pytest.mark.parametrize("method", ["exact", "asked", "sized", "pixel", "nearest", "evidence", "reply"])
def test_a_store_that_hangs_at_a_lookup_is_not_waited_for(
    tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL)
    store = Stuck()
    with stage_on(store, tmp_path, lookup_timeout_s=0.2) as stage:
        answer(stage, card("48.20"))
        stage.counted  # noqa: B018 - the answer is stored when it is counted
        store.stuck = {method}
        copy = jpeg(cards.draw("48.20"), 88)
        status = answer(stage, copy).headers["cache-status"]
        assert status == "lookalike; fwd=bypass; detail=cache-slow"


def test_a_store_that_hangs_when_it_should_write_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.plan._LANDING_WAIT_S", 0.1)
    monkeypatch.setattr("gateway.server._DRAIN_S", 0.1)
    store = Stuck()
    with stage_on(store, tmp_path) as stage:
        answer(stage, card("48.20"))
        stage.counted  # noqa: B018
        store.stuck = {"put"}
        for price in ("11.11", "22.22", "33.33"):
            reply = httpx.post(f"{stage.gateway}/v1/chat/completions", json=question(card(price)), timeout=30)
            assert reply.json()["choices"][0]["message"]["content"] == f"prices: {price}"
        assert "hit" in answer(stage, card("48.20")).headers["cache-status"]


class Sick:
    """An embedder that has the trouble that a test gives it."""

    threshold = 0.65

    def __init__(self) -> None:
        self._well = DctEmbedder(self.threshold)
        self.space = self._well.space
        self.trouble: Callable[[], None] = lambda: None

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        self.trouble()
        return self._well.embed(pictures)


def _out_of_memory() -> None:
    raise MemoryError


def _broken() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize("trouble", [_out_of_memory, _broken])
def test_an_embedder_that_throws_costs_near_hits_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Callable[[], None]
):
    caplog.set_level(logging.CRITICAL)
    sick = Sick()
    monkeypatch.setattr("gateway.app.load_embedder", lambda settings: Loaded(sick))
    with stage_on(MemoryStore(time.time, 2**30), tmp_path) as stage:
        sick.trouble = trouble
        answer(stage, card("48.20"))
        assert "hit" in answer(stage, card("48.20")).headers["cache-status"]  # stored all the same
        assert "hit" not in answer(stage, jpeg(cards.draw("48.20"), 88)).headers["cache-status"]
        assert stage.health()["embedder"]["faults"] > 0

        sick.trouble = lambda: None
        answer(stage, jpeg(cards.draw("48.20"), 96))
        assert "detail=near" in answer(stage, jpeg(cards.draw("48.20"), 80)).headers["cache-status"]


def test_an_embedder_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.plan._LANDING_WAIT_S", 0.1)
    monkeypatch.setattr("gateway.keep._EMBED_S", 1.0)
    sick, back = Sick(), threading.Event()
    monkeypatch.setattr("gateway.app.load_embedder", lambda settings: Loaded(sick))
    monkeypatch.setattr("embeddings.batching.STUCK_S", 0.5)
    with stage_on(MemoryStore(time.time, 2**30), tmp_path, embed_timeout_s=0.2) as stage:
        answer(stage, card("48.20"))
        stage.counted  # noqa: B018
        sick.trouble = lambda: bool(back.wait(30)) and None
        copies = [jpeg(cards.draw("48.20"), quality) for quality in (90, 89, 88)]
        details = [answer(stage, copy).headers["cache-status"].rpartition("=")[2] for copy in copies]
        assert set(details) <= {"embedder-busy", "embedder-not-ready"}
        while not (problems := stage.health()["problems"]):
            answer(stage, card("48.20"))
        assert problems == ["no near hits: the embedder has not come back from its last pictures"]
        # Whatever is asked now is stored without vectors, and found by its bytes.
        answer(stage, jpeg(cards.draw("48.20"), 80))
        back.set()


@pytest.mark.parametrize("trouble", [MemoryError(), RuntimeError("a bug"), ZeroDivisionError()])
def test_a_guard_that_throws_makes_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
):
    caplog.set_level(logging.CRITICAL)

    def compare(*given: Any) -> Any:
        raise trouble

    with stage_on(MemoryStore(time.time, 2**30), tmp_path) as stage:
        answer(stage, card("48.20"))
        stage.counted  # noqa: B018
        with monkeypatch.context() as patched:
            patched.setattr("cache.guard.compare", compare)
            status = answer(stage, jpeg(cards.draw("48.20"), 88)).headers["cache-status"]
            assert status == "lookalike; fwd=bypass; detail=cache-fault"
        assert "detail=near" in answer(stage, jpeg(cards.draw("48.20"), 88)).headers["cache-status"]


def test_a_guard_that_takes_too_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    back = threading.Event()

    def compare(*given: Any) -> Any:
        back.wait(30)

    with stage_on(MemoryStore(time.time, 2**30), tmp_path, lookup_timeout_s=0.5) as stage:
        answer(stage, card("48.20"))
        stage.counted  # noqa: B018
        monkeypatch.setattr("cache.guard.compare", compare)
        status = answer(stage, jpeg(cards.draw("48.20"), 88)).headers["cache-status"]
        assert status == "lookalike; fwd=bypass; detail=cache-slow"
        assert "hit" in answer(stage, card("48.20")).headers["cache-status"]
        back.set()

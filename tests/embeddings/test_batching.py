import asyncio
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from embeddings.base import RGB, EmbedderFault, EmbedderUnavailable, Loaded, Space, Vectors
from embeddings.batching import STUCK_S, Broken, EmbeddingService, Failed, Loading, Ready

pytestmark = pytest.mark.anyio
DIM = 4
BAD = 255


def picture(level: int) -> RGB:
    return np.full((2, 2, 3), level, dtype=np.uint8)


class Slow:
    """Answers with the picture's level, chokes on level `BAD`, and waits at a gate that the test holds."""

    threshold = 0.9
    space = Space("slow", "v1", DIM)

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        levels = [int(one[0, 0, 0]) for one in pictures]
        self.batches.append(levels)
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.gate.wait(10)
        if BAD in levels:
            raise ValueError("a bad picture")
        return np.array([[level] * DIM for level in levels], dtype=np.float32)


@asynccontextmanager
async def running(load: Callable[[], Loaded], batch_max: int = 4) -> AsyncIterator[EmbeddingService]:
    threads = threading.active_count()
    service = EmbeddingService(load, batch_max=batch_max)
    service.start()
    try:
        yield service
    finally:
        await service.close()
        assert threading.active_count() <= threads + 1  # asyncio.to_thread of a test may keep one


@asynccontextmanager
async def serving(embedder: Slow, batch_max: int = 4) -> AsyncIterator[EmbeddingService]:
    async with running(lambda: Loaded(embedder), batch_max) as service:
        await service.ready()
        yield service


@asynccontextmanager
async def held(embedder: Slow, service: EmbeddingService) -> AsyncIterator["asyncio.Future[Any]"]:
    """While inside, the worker is busy with one picture and everything else queues up."""
    embedder.gate.clear()
    first = asyncio.ensure_future(service.embed([picture(0)]))
    await asyncio.to_thread(embedder.entered.acquire)
    try:
        yield first
    finally:
        embedder.gate.set()


async def queued(service: EmbeddingService, *levels: int) -> "asyncio.Future[Any]":
    future = asyncio.ensure_future(service.embed([picture(level) for level in levels]))
    await asyncio.sleep(0)  # lets it put its job down
    return future


async def test_answers_with_the_space_and_a_vector_for_each_picture() -> None:
    async with serving(Slow()) as service:
        answer = await service.embed([picture(3), picture(5)])

    assert answer is not None
    assert answer[0] == Slow.space
    np.testing.assert_array_equal(answer[1][:, 0], [3, 5])


async def test_no_pictures_are_no_vectors() -> None:
    async with serving(Slow()) as service:
        answer = await service.embed([])

    assert answer is not None
    assert answer[1].shape == (0, DIM)


async def test_while_loading_there_is_no_answer_and_nobody_waits() -> None:
    go = threading.Event()

    def load() -> Loaded:
        assert go.wait(10)
        return Loaded(Slow())

    async with running(load) as service:
        assert service.state == Loading()
        assert await service.embed([picture(1)]) is None

        go.set()
        assert isinstance(await service.ready(), Ready)
        assert await service.embed([picture(1)]) is not None


async def test_what_cannot_be_had_is_failed_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Loaded:
        raise EmbedderUnavailable("no weights; use dct")

    async with running(load) as service:
        assert await service.ready() == Failed("no weights; use dct")
        assert await service.embed([picture(1)]) is None

    assert "no weights; use dct" in caplog.text


async def test_a_loader_that_breaks_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries = iter((MemoryError("no room"), IndexError("nor here"), None))
    loaded = threading.Event()

    def load() -> Loaded:
        if error := next(tries):
            raise error
        loaded.set()
        return Loaded(Slow())

    service = EmbeddingService(load, reload_s=0.01)
    service.start()
    try:
        assert await service.ready() == Broken("MemoryError: no room")
        assert await asyncio.to_thread(loaded.wait, 10)
        while await service.embed([picture(1)]) is None:
            assert isinstance(service.state, Broken | Ready)
    finally:
        await service.close()

    assert "Traceback" in caplog.text
    assert "nor here" in caplog.text


async def test_close_does_not_wait_for_the_next_try() -> None:
    async with running(lambda: [][0]) as service:  # whose next try would come after half a minute
        assert isinstance(await service.ready(), Broken)
        assert await service.embed([picture(1)]) is None
        await asyncio.wait_for(service.close(), 5)

        assert service.state == Failed("closed")


async def test_a_fallback_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with running(lambda: Loaded(Slow(), note="clip cannot be had")) as service:
        state = await service.ready()

    assert isinstance(state, Ready)
    assert state.note == "clip cannot be had"
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == ["embedder: clip cannot be had"]


async def test_what_waits_goes_in_one_batch_on_one_thread() -> None:
    embedder = Slow()
    async with serving(embedder) as service:
        async with held(embedder, service) as first:
            waiting = [await queued(service, level) for level in (1, 2, 3)]
        await asyncio.gather(first, *waiting)

    assert embedder.batches == [[0], [1, 2, 3]]
    assert embedder.threads == {"embedder"}


async def test_a_batch_is_bounded_and_keeps_the_order() -> None:
    embedder = Slow()
    async with serving(embedder, batch_max=3) as service:
        async with held(embedder, service) as first:
            waiting = [await queued(service, *levels) for levels in [(1, 2), (3,), (4, 5), (6, 7)]]
        answers = await asyncio.gather(first, *waiting)

    assert embedder.batches == [[0], [1, 2, 3], [4, 5], [6, 7]]
    assert [list(answer[1][:, 0]) for answer in answers[1:]] == [[1, 2], [3], [4, 5], [6, 7]]


async def test_the_time_of_a_batch_is_shared_by_its_pictures() -> None:
    embedder, ticks = Slow(), itertools.count(step=3.0)  # three seconds go by between any two looks at the clock

    def clock() -> float:
        return next(ticks) if threading.current_thread().name == "embedder" else 0.0

    service = EmbeddingService(lambda: Loaded(embedder), monotonic=clock)
    service.start()
    await service.ready()
    async with held(embedder, service) as first:
        waiting = [await queued(service, *levels) for levels in [(1, 2), (3,)]]
    answers = await asyncio.gather(first, *waiting)
    await service.close()

    assert [answer.seconds for answer in answers] == [3.0, 2.0, 1.0]


async def test_an_embedder_that_hangs_keeps_nobody_waiting_and_is_used_again_when_it_comes_back() -> None:
    embedder, now_s = Slow(), [0.0]
    service = EmbeddingService(lambda: Loaded(embedder), monotonic=lambda: now_s[0])
    service.start()
    await service.ready()
    async with held(embedder, service) as first:
        now_s[0] = STUCK_S
        assert not service.is_stuck
        now_s[0] += 0.1
        assert service.is_stuck
        assert await service.embed([picture(1)]) is None
    await first

    assert not service.is_stuck
    assert await service.embed([picture(1)])
    await service.close()


async def test_failures_are_counted() -> None:
    async with serving(Slow()) as service:
        with pytest.raises(EmbedderFault):
            await service.embed([picture(BAD)])
        assert await service.embed([picture(1)])
        assert service.faults == 1


async def test_a_call_bigger_than_a_batch_is_done_in_slices() -> None:
    embedder = Slow()
    async with serving(embedder, batch_max=2) as service:
        answer = await service.embed([picture(level) for level in range(5)])

    assert embedder.batches == [[0, 1], [2, 3], [4]]
    assert answer is not None
    np.testing.assert_array_equal(answer[1][:, 0], range(5))


async def test_a_bad_picture_fails_its_own_caller_only() -> None:
    embedder = Slow()
    async with serving(embedder) as service:
        async with held(embedder, service) as first:
            waiting = [await queued(service, level) for level in (1, BAD, 3)]
        answers: list[Any] = await asyncio.gather(first, *waiting, return_exceptions=True)

    assert isinstance(answers[2], EmbedderFault)
    assert isinstance(answers[2].__cause__, ValueError)
    assert [answers[1][1][0, 0], answers[3][1][0, 0]] == [1, 3]


async def test_after_a_fault_the_service_works_on() -> None:
    async with serving(Slow()) as service:
        with pytest.raises(EmbedderFault, match="a bad picture"):
            await service.embed([picture(BAD)])

        assert await service.embed([picture(1)]) is not None


@pytest.mark.parametrize("wrong", [np.full((1, DIM), np.nan, np.float32), np.ones((1, DIM + 1), np.float32)])
async def test_vectors_that_would_poison_an_index_are_a_fault(wrong: Vectors) -> None:
    class Wrong(Slow):
        def embed(self, pictures: Sequence[RGB]) -> Vectors:
            return wrong

    async with serving(Wrong()) as service:
        with pytest.raises(EmbedderFault, match="not finite"):
            await service.embed([picture(1)])


async def test_a_cancelled_caller_is_passed_over() -> None:
    embedder = Slow()
    async with serving(embedder) as service:
        async with held(embedder, service) as first:
            gone, stays = await queued(service, 1), await queued(service, 2)
            gone.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(first, stays)

    assert gone.cancelled()
    assert embedder.batches == [[0], [2]]


async def test_a_caller_cancelled_while_in_work_harms_nobody() -> None:
    embedder = Slow()
    async with serving(embedder) as service:
        async with held(embedder, service) as first:
            first.cancel()

        assert await service.embed([picture(2)]) is not None


async def test_cancelling_who_waits_for_ready_leaves_the_others() -> None:
    go = threading.Event()

    def load() -> Loaded:
        assert go.wait(10)
        return Loaded(Slow())

    async with running(load) as service:
        impatient = asyncio.ensure_future(service.ready())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        go.set()

        assert isinstance(await service.ready(), Ready)


async def test_close_answers_who_waits_with_none_and_lets_the_batch_end() -> None:
    embedder = Slow()
    async with serving(embedder) as service:
        async with held(embedder, service) as first:
            waiting = await queued(service, 1)
            closing = asyncio.ensure_future(service.close())
            assert await waiting is None
        await closing

        assert await first is not None
        assert await service.embed([picture(1)]) is None
        assert service.state == Failed("closed")


async def test_close_while_loading_releases_who_waits_for_ready() -> None:
    go = threading.Event()

    def load() -> Loaded:
        assert go.wait(10)
        return Loaded(Slow())

    async with running(load) as service:
        waiting = asyncio.ensure_future(service.ready())
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(service.close())
        assert await waiting == Failed("closed")
        go.set()
        await closing

        assert service.state == Failed("closed")


async def test_a_loader_that_hangs_does_not_hold_up_close(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("embeddings.batching.CLOSE_GRACE_S", 0.01)
    go = threading.Event()

    def load() -> Loaded:
        assert go.wait(10)
        return Loaded(Slow())

    service = EmbeddingService(load)
    service.start()
    await service.close()
    assert "left behind" in caplog.text

    go.set()
    await service.close()  # now it can end


async def test_close_without_start_and_twice_is_fine() -> None:
    service = EmbeddingService(lambda: Loaded(Slow()))

    await service.close()
    await service.close()

    assert await service.ready() == Failed("closed")


async def test_starts_once() -> None:
    async with serving(Slow()) as service:
        with pytest.raises(RuntimeError, match="once"):
            service.start()

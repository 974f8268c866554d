import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cache.stores.turns import Turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as worker:
        yield worker


async def test_a_turn_is_planned_only_when_the_one_before_is_finished(worker: ThreadPoolExecutor) -> None:
    trail: list[str] = []

    def plan(name: str):
        trail.append(f"plan {name}")
        return lambda: name, lambda done: trail.append(f"finish {done}")

    turns = Turns(worker)
    await asyncio.gather(*(turns.take(lambda name=name: plan(name)) for name in "ab"))

    assert trail == ["plan a", "finish a", "plan b", "finish b"]


async def test_a_turn_under_way_is_finished_although_nobody_waits(worker: ThreadPoolExecutor) -> None:
    trail: list[str] = []
    go = threading.Event()
    turns = Turns(worker)
    under_way = turns.take(lambda: (go.wait, lambda _: trail.append("finished")))
    not_begun = turns.take(lambda: (lambda: None, lambda _: trail.append("never")))
    under_way.cancel()
    not_begun.cancel()
    go.set()
    await turns.take(lambda: (lambda: None, lambda _: None))

    assert trail == ["finished"]


@pytest.mark.parametrize("where", ["plan", "work", "finish"])
async def test_a_failure_is_told_and_the_next_turn_comes(worker: ThreadPoolExecutor, where: str) -> None:
    def stage(name: str, *given: object) -> None:
        if name == where:
            raise ValueError(name)

    def plan():
        stage("plan")
        return lambda: stage("work"), lambda _: stage("finish")

    turns = Turns(worker)
    with pytest.raises(ValueError, match=where):
        await turns.take(plan)

    assert await turns.take(lambda: (lambda: 5, lambda found: found)) == 5

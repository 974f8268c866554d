"""What the planner keeps, and what it lets go when it cannot keep up."""

import time
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from cache.entry import Record
from cache.keys import Scope, ask
from cache.stores.memory import MemoryStore
from embeddings.base import RGB
from embeddings.batching import Embedded, Loading, State
from gateway.account import Trail
from gateway.capture import Answered
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.dialects.openai_chat import OpenAIChat
from gateway.epochs import Epochs
from gateway.fingerprint import Fingerprint, Workers
from gateway.keep import Keeper, Storing
from gateway.question import PictureRef, Question, Unstored
from gateway.spelling import load
from tests.contracts.store_contract import record
from tests.fakes.pictures import card, data_url

pytestmark = pytest.mark.anyio

REPLY = (
    b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"48.20"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
)


class NoEmbedder:
    """An embedder that never becomes ready."""

    state: State = Loading()

    async def embed(self, pictures: Sequence[RGB]) -> Embedded | None:
        return None


def keeper(store: MemoryStore) -> tuple[Keeper, Workers]:
    workers = Workers(2)
    epochs = Epochs(store, None, time.time, time.perf_counter)
    return Keeper(Settings(upstream="http://upstream"), store, workers, time.perf_counter, epochs), workers


def storing(workers: Workers, number: int) -> Storing:
    picture = load(PictureRef(data_url(card("48.20"))))
    question = Question("m", {"n": number}, (), stream=False, include_usage=False, choices=1, prompt="")
    asked = ask(
        Scope("tenant", "openai-chat", "http://upstream", "/v1/chat/completions", "m", ()),
        {"n": number},
        [picture.digest],
    )
    looks = Fingerprint([picture], workers, NoEmbedder(), 10**7)
    crowd = Crowd(record("a").entry, OpenAIChat(), question, 2**20)
    return Storing(OpenAIChat(), question, asked, looks, epoch=0, crowd=crowd, keep=True, answered_s=time.time())


def answered() -> Answered:
    return Answered(200, [(b"content-type", b"application/json")], REPLY, complete=True, too_large=False, seconds=1.0)


async def test_an_answer_waits_for_its_pictures_and_is_stored() -> None:
    store = MemoryStore(time.time, 2**30)
    keep, workers = keeper(store)
    one, trail = storing(workers, 1), Trail("POST", "/", 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep.prepare, one)
        await keep.finish(one, answered(), trail)

    assert trail.unstored is None
    assert await store.exact(one.asked.exact)


async def test_where_too_many_answers_wait_the_next_is_let_go() -> None:
    store = MemoryStore(time.time, 2**30)
    keep, workers = keeper(store)
    trails = [Trail("POST", "/", 0.0) for _ in range(66)]
    waiting = [storing(workers, number) for number in range(66)]
    async with anyio.create_task_group() as tasks:
        for one, trail in zip(waiting, trails, strict=True):
            tasks.start_soon(keep.finish, one, answered(), trail)
        await anyio.wait_all_tasks_blocked()
        for one in waiting:
            one.prepared.set()

    assert [trail.unstored for trail in trails].count(Unstored.BUSY) == 2
    assert store.size().entries == 64


class Erasing(MemoryStore):
    """A store that takes nothing until it has erased something."""

    def __init__(self) -> None:
        super().__init__(time.time, 2**30)
        self.done = anyio.Event()

    async def put(self, record: Record) -> None:
        await self.done.wait()
        await super().put(record)


async def test_where_the_store_is_busy_no_more_answers_wait_than_the_machine_can_hold() -> None:
    store = Erasing()
    keep, workers = keeper(store)
    trails = [Trail("POST", "/", 0.0) for _ in range(80)]
    async with anyio.create_task_group() as tasks:
        for number, trail in enumerate(trails):
            one = storing(workers, number)
            one.prepared.set()
            tasks.start_soon(keep.finish, one, answered(), trail)
        with anyio.fail_after(30):
            while sum(trail.unstored is Unstored.BUSY for trail in trails) < 16:
                await anyio.lowlevel.checkpoint()
        store.done.set()

    assert [trail.unstored for trail in trails].count(Unstored.BUSY) == 16
    assert store.size().entries == 64

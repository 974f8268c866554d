"""No answer of before a change is served or kept after it, whatever happens in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cache.entry import Record
from cache.errors import StoreFault
from cache.stores.memory import MemoryStore
from gateway.epochfile import EpochFile, Known
from gateway.epochs import _UNSEEN_S, Epochs
from gateway.modelchange import EVERY
from tests.contracts.store_contract import Clock, record

pytestmark = pytest.mark.anyio


class Store(MemoryStore):
    """One that can be made slow or broken."""

    def __init__(self) -> None:
        super().__init__(Clock(), 10**9)
        self.faulty = False
        self.before_put: Callable[[], Any] | None = None

    async def put(self, record: Record) -> None:
        if self.before_put is not None:
            await self.before_put()
        await super().put(record)

    async def remove(self, entry_id: str) -> bool:
        if self.faulty:
            raise StoreFault("the disk is gone")
        return await super().remove(entry_id)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def file(tmp_path: Path) -> EpochFile:
    return EpochFile(tmp_path / "epochs.json")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def epochs(store: Store, file: EpochFile, clock: Clock) -> Epochs:
    return Epochs(store, file, clock, clock)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if holds():
            return
        await anyio.lowlevel.checkpoint()
    raise AssertionError("it never came to that")


async def models(store: Store) -> list[str]:
    return sorted(kept.entry.model for kept in await store.entries())


async def filled(store: Store, *names: str) -> None:
    for name in names:
        await store.put(record(name or "none", model=name))


async def test_a_bump_deletes_what_is_stored_of_the_model_and_nothing_else(store: Store, epochs: Epochs) -> None:
    await filled(store, "a", "A:latest", "b")

    assert await epochs.bump("a", "operator") == 2
    assert await models(store) == ["b"]
    assert epochs.report() == {"retired": 2, "changing": []}
    assert {name: (one.number, one.why) for name, one in epochs.models().items()} == {"a": (1, "operator")}


async def test_a_bump_of_all_deletes_everything(store: Store, epochs: Epochs) -> None:
    await filled(store, "a", "b", "")

    assert await epochs.bump(EVERY, "operator") == 3
    assert await models(store) == []


async def test_an_answer_without_a_model_goes_with_any(store: Store, epochs: Epochs) -> None:
    await filled(store, "", "b")
    await epochs.bump("a", "operator")

    assert await models(store) == ["b"]


async def test_an_answer_that_was_under_way_is_not_kept(epochs: Epochs) -> None:
    marks = {name: epochs.mark(name) for name in ("a", "b", "")}
    await epochs.bump("a", "operator")

    for name, may in (("a", False), ("b", True), ("", False)):
        assert marks[name] is not None
        assert epochs.holds(name, marks[name]) is may
        with epochs.storing(name, marks[name]) as allowed:
            assert allowed is may


async def test_while_a_model_is_changed_its_questions_only_pass(store: Store, epochs: Epochs) -> None:
    await filled(store, "a")
    await epochs.begin("a")
    assert epochs.mark("a") is epochs.mark("A:latest") is epochs.mark("") is None
    assert epochs.mark("b") is not None
    assert epochs.report()["changing"] == ["a"]
    await epochs.begin("a")  # a second one, beside it
    await epochs.end("a", changed=True, why="/api/pull")
    assert epochs.mark("a") is None
    await epochs.end("a", changed=True, why="/api/pull")

    assert epochs.mark("a") is not None
    assert await models(store) == []


async def test_a_change_that_was_refused_costs_no_stored_answer(store: Store, epochs: Epochs) -> None:
    await filled(store, "a")
    before = epochs.mark("a")
    await epochs.begin("a")
    await epochs.end("a", changed=False, why="/api/pull")

    assert await models(store) == ["a"]
    assert epochs.mark("a") is not None
    assert before is not None
    assert not epochs.holds("a", before)  # in doubt


async def test_an_answer_that_is_just_being_stored_is_waited_for_and_deleted(store: Store, epochs: Epochs) -> None:
    mark = epochs.mark("a")
    assert mark is not None
    in_put, go_on = anyio.Event(), anyio.Event()

    async def slowly() -> None:
        in_put.set()
        await go_on.wait()

    store.before_put = slowly

    async def keep() -> None:
        with epochs.storing("a", mark) as may:
            assert may
            await store.put(record("late", model="a"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep)
        await in_put.wait()
        tasks.start_soon(epochs.bump, "a", "operator")
        await until(lambda: epochs.mark("a") is None)
        go_on.set()

    assert await models(store) == []
    assert epochs.mark("a") is not None


async def test_a_killed_gateway_deletes_at_its_start_before_anything_is_served(
    store: Store, file: EpochFile, epochs: Epochs, clock: Clock
) -> None:
    await filled(store, "a", "b")
    await epochs.begin("a")  # and here it is killed
    again = Epochs(store, file, clock, clock)
    assert again.mark("a") is None
    assert again.mark("b") is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(again.run)
        await until(lambda: not file.read().pending)
        tasks.cancel_scope.cancel()

    assert await models(store) == ["b"]
    assert again.mark("a") is None  # the change may be going on
    clock.now_s += _UNSEEN_S + 1
    assert again.mark("a") is not None
    assert Epochs(store, file, clock, clock).mark("a") is not None


async def test_what_a_store_cannot_delete_is_not_served_and_tried_again(store: Store, epochs: Epochs) -> None:
    await filled(store, "a")
    store.faulty = True
    with pytest.raises(StoreFault):
        await epochs.bump("a", "operator")
    assert epochs.mark("a") is None
    store.faulty = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(epochs.run)
        await until(lambda: epochs.mark("a") is not None)
        tasks.cancel_scope.cancel()

    assert await models(store) == []


async def test_two_changes_at_once_delete_once_and_keep_what_comes_after(store: Store, epochs: Epochs) -> None:
    await filled(store, "a")
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(epochs.bump, "a", "operator")
    await filled(store, "a")

    assert await models(store) == ["a"]
    assert epochs.report() == {"retired": 1, "changing": []}


async def test_a_change_whose_end_nobody_saw_is_waited_for_a_while(epochs: Epochs, clock: Clock) -> None:
    await epochs.begin("a")
    await epochs.end("a", changed=True, why="/api/pull", seen=False)
    assert epochs.mark("a") is None
    clock.now_s += _UNSEEN_S + 1

    assert epochs.mark("a") is not None


async def test_a_file_that_cannot_be_read_retires_everything(
    store: Store, file: EpochFile, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "epochs.json").write_bytes(b"{")

    assert file.read() == Known(pending=(EVERY,))
    assert Epochs(store, file, clock, clock).mark("a") is None


async def test_what_is_written_last_is_what_was_known_last(file: EpochFile, epochs: Epochs) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(epochs.bump, f"m{number}", "operator")

    known = file.read()
    assert known.pending == ()
    assert len(known.models) == 50


async def test_names_that_callers_choose_are_bounded(
    store: Store, epochs: Epochs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.epochs._NAMES_MOST", 4)
    monkeypatch.setattr("gateway.epochfile._MODELS_MOST", 3)
    await filled(store, "m0")
    mark = epochs.mark("m0")
    for number in range(10):
        await epochs.bump(f"m{number}", "/api/pull")

    assert len(epochs.models()) == 3
    assert len(epochs._last) <= 5
    assert epochs.report()["retired"] == 1
    assert mark is not None
    assert not epochs.holds("m0", mark)

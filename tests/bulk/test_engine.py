"""Workers over a bounded queue, and what is on disk when."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from gateway.bulk.ask import Stopped
from gateway.bulk.engine import Engine, Marked, too_many
from gateway.bulk.items import Answer, BadInput, GaveUp, Item, Recipe, Result
from gateway.bulk.journal import Journal, State

pytestmark = pytest.mark.anyio

ANSWER = Answer("miss", "first-asked", 200, "", "m", 0.1, 1, 1, b"{}")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "j", {})
    yield opened
    opened.close()


def items(count: int, read: list[str] | None = None) -> Iterator[Marked]:
    for number in range(count):
        if read is not None:
            read.append(str(number))
        yield Item(str(number), number + 1, Recipe(("a",), "?")), b"mark"


def answered(journal: Journal, count: int) -> int:
    return sum(journal.state(item, b"mark") is State.ANSWERED for item, _ in items(count))


async def test_every_item_is_asked_once_and_kept(journal: Journal):
    asked: list[str] = []

    async def ask(item: Item) -> Result:
        asked.append(item.id)
        await anyio.lowlevel.checkpoint()
        return ANSWER

    await Engine(journal, 7, ask, lambda result: None, anyio.Event()).run(items(100))

    assert sorted(asked, key=int) == [str(number) for number in range(100)]
    assert answered(journal, 100) == 100


async def test_no_more_is_read_than_is_worked_on_and_no_more_worked_on_than_said(journal: Journal):
    read: list[str] = []
    at_once = most = done = 0
    all_at_work = anyio.Event()

    async def ask(item: Item) -> Result:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        while not all_at_work.is_set() and at_once < 5:
            await anyio.lowlevel.checkpoint()
        all_at_work.set()
        assert len(read) <= done + 5 + 1  # those at work, and one that waits to be taken
        await anyio.lowlevel.checkpoint()
        at_once -= 1
        return ANSWER

    def count(result: Result) -> None:
        nonlocal done
        done += 1

    await Engine(journal, 5, ask, count, anyio.Event()).run(items(60, read))

    assert most == 5


async def test_a_result_is_on_disk_before_it_counts(journal: Journal):
    counted = 0

    async def ask(item: Item) -> Result:
        assert answered(journal, 40) >= counted
        return ANSWER

    def count(result: Result) -> None:
        nonlocal counted
        counted += 1

    await Engine(journal, 4, ask, count, anyio.Event()).run(items(40))

    assert counted == 40


async def test_what_is_in_flight_when_it_is_to_stop_is_kept_and_nothing_more_is_asked(journal: Journal):
    stop, asked = anyio.Event(), 0

    async def ask(item: Item) -> Result:
        nonlocal asked
        asked += 1
        if asked == 10:
            stop.set()
        await anyio.lowlevel.checkpoint()
        return ANSWER

    await Engine(journal, 4, ask, lambda result: None, stop).run(items(1000))

    assert 10 <= asked <= 14
    assert answered(journal, 20) == asked


async def test_what_was_let_go_has_no_result(journal: Journal):
    async def ask(item: Item) -> Result:
        raise Stopped

    await Engine(journal, 2, ask, lambda result: None, anyio.Event()).run(items(3))

    assert answered(journal, 3) == 0


async def test_to_give_up_ends_it_with_the_reason_and_keeps_what_came(journal: Journal):
    async def ask(item: Item) -> Result:
        if item.id == "5":
            raise GaveUp("the key is refused")
        return ANSWER

    stop = anyio.Event()
    with pytest.raises(GaveUp, match="the key is refused"):
        await Engine(journal, 1, ask, lambda result: None, stop).run(items(50))

    assert stop.is_set()
    assert answered(journal, 50) == 5


async def test_an_input_that_breaks_on_the_way_ends_it_with_the_reason(journal: Journal):
    def broken() -> Iterator[Marked]:
        yield from items(3)
        raise BadInput("line 4 is not UTF-8")

    async def ask(item: Item) -> Result:
        return ANSWER

    with pytest.raises(GaveUp, match="line 4"):
        await Engine(journal, 2, ask, lambda result: None, anyio.Event()).run(broken())

    assert answered(journal, 3) == 3


def test_so_many_failures_in_a_row_are_too_many():
    assert too_many(19, 5, "x") is None
    assert "20 questions" in str(too_many(20, 5, "x"))
    assert too_many(20, 100, "x") is None

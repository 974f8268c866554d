from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from cache.flight import Flight, Flights
from tests.contracts.store_contract import record

pytestmark = pytest.mark.anyio

LONG_S = 5.0


async def settle(landings: Flights[Flight], partition: str, into: list[bool], wait_s: float = LONG_S) -> None:
    into.append(await landings.settled(partition, wait_s))


@contextmanager
def landing(flights: Flights[Flight], question: str) -> Iterator[None]:
    """While the answer to a question, which its client has, is being stored."""
    flight = Flight(replace(record("a").entry, partition=question))
    with flights.flying(flight, lambda: 0.0):
        flights.landing(flight)
        yield


async def until_waiting() -> None:
    """Every task that can go on has gone on."""
    await anyio.wait_all_tasks_blocked()


async def test_without_a_landing_nothing_is_waited_for() -> None:
    landings = Flights[Flight]()
    with anyio.fail_after(0.2):
        assert not await landings.settled("question", LONG_S)


async def test_a_question_waits_for_the_answer_that_is_being_stored() -> None:
    landings, waited = Flights[Flight](), list[bool]()
    async with anyio.create_task_group() as tasks:
        with landing(landings, "question"):
            tasks.start_soon(settle, landings, "question", waited)
            await until_waiting()
            assert waited == []
    assert waited == [True]


async def test_another_question_does_not_wait() -> None:
    landings = Flights[Flight]()
    with landing(landings, "question"), anyio.fail_after(0.2):
        assert not await landings.settled("another question", LONG_S)


async def test_everyone_who_waits_goes_on() -> None:
    landings, waited = Flights[Flight](), list[bool]()
    async with anyio.create_task_group() as tasks:
        with landing(landings, "question"):
            for _ in range(3):
                tasks.start_soon(settle, landings, "question", waited)
            await until_waiting()
    assert waited == [True] * 3


async def test_of_two_landings_the_first_is_enough() -> None:
    landings, waited = Flights[Flight](), list[bool]()
    async with anyio.create_task_group() as tasks:
        with landing(landings, "question"):
            with landing(landings, "question"):
                tasks.start_soon(settle, landings, "question", waited)
                await until_waiting()
            await until_waiting()
            assert waited == [True]

            tasks.start_soon(settle, landings, "question", waited)
            await until_waiting()
            assert waited == [True]  # the other is still under way, so this one waits for it
    assert waited == [True, True]


async def test_an_answer_that_failed_to_land_holds_nobody_up() -> None:
    landings, waited = Flights[Flight](), list[bool]()

    async def fail() -> None:
        with landing(landings, "question"):
            tasks.start_soon(settle, landings, "question", waited)
            await until_waiting()
            raise OSError

    async with anyio.create_task_group() as tasks:
        with pytest.raises(OSError):
            await fail()
    assert waited == [True]
    assert not await landings.settled("question", LONG_S)


async def test_a_landing_that_takes_too_long_is_not_waited_for() -> None:
    landings = Flights[Flight]()
    with landing(landings, "question"), anyio.fail_after(1):
        assert await landings.settled("question", wait_s=0.01)


async def test_who_gives_up_waiting_does_not_hold_up_the_others() -> None:
    landings, waited = Flights[Flight](), list[bool]()
    async with anyio.create_task_group() as tasks:
        with landing(landings, "question"):
            assert await landings.settled("question", wait_s=0)
            tasks.start_soon(settle, landings, "question", waited)
            await until_waiting()
            assert waited == []
    assert waited == [True]


async def test_what_has_landed_is_forgotten() -> None:
    landings = Flights[Flight]()
    with landing(landings, "question"):
        await landings.settled("question", wait_s=0)

    assert not await landings.settled("question", LONG_S)
    assert (len(list(landings)), len(landings._landings), len(landings._landed)) == (0, 0, 0)


async def test_where_many_are_landing_nobody_waits() -> None:
    landings = Flights[Flight]()
    with (
        landing(landings, "question"),
        landing(landings, "question"),
        landing(landings, "question"),
        anyio.fail_after(0.2),
    ):
        assert not await landings.settled("question", LONG_S)

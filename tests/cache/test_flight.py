from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from cache.entry import Entry
from cache.flight import APART_S, Flight, Flights, Lookout
from cache.lookup import Embedded
from cache.stores.base import Candidate
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


# What is in flight is found


ENTRY = record("a").entry
VECTORS = np.array([[1.0, 0.0]], np.float32)


def flight(exact: str = "exact", question: str = "question", joinable: bool = True, streamed: bool = False) -> Flight:
    entry = replace(ENTRY, id=exact, exact=exact, partition=question, pixel="", sizes=(), space=None, streamed=streamed)
    made = Flight(entry)
    made.joinable = joinable
    return made


async def nothing_parted(keys: Collection[str]) -> frozenset[str]:
    return frozenset()


def lookout(flights: list[Flight], streamed: bool = False, wait_s: float = LONG_S) -> Lookout[Flight]:
    return Lookout(flights, nothing_parted, streamed, wait_s)


def fits(entry: Entry) -> None:
    return None


def test_a_flight_can_be_found_until_it_has_landed() -> None:
    flights, one = Flights[Flight](), flight()
    with flights.flying(one, lambda: 0.0), flights.looking("question", lookout) as seen:
        assert seen.turn(fits)
        assert seen.flight(one.entry) is one
    with flights.looking("question", lookout) as seen:
        assert not seen.turn(fits)
    assert list(flights) == []


def test_who_was_looking_before_it_landed_sees_it_still() -> None:
    flights, one = Flights[Flight](), flight()
    with flights.looking("question", lookout) as seen:
        assert not seen.turn(fits)
        with flights.flying(one, lambda: 0.0):
            pass
        assert seen.turn(fits)
        assert not seen.turn(fits)  # once


def test_another_question_and_what_may_not_be_joined_are_not_seen() -> None:
    flights = Flights[Flight]()
    with (
        flights.flying(flight("a", question="another"), lambda: 0.0),
        flights.flying(flight("b", joinable=False), lambda: 0.0),
        flights.looking("question", lookout) as seen,
    ):
        assert not seen.turn(fits)


def test_what_does_not_fit_is_passed_over_for_what_does() -> None:
    seen = lookout([flight("a"), flight("b")])

    assert seen.turn(lambda entry: entry.id == "a")
    with pytest.raises(KeyError):
        seen.flight(flight("a").entry)
    assert seen.flight(flight("b").entry).entry.id == "b"


async def test_of_two_that_are_alike_the_one_of_the_same_form_is_taken() -> None:
    whole, stream = flight("same"), flight("same", streamed=True)
    for streamed in (False, True):
        seen = lookout([whole, stream], streamed)
        assert seen.turn(fits)
        found = await seen.exact("same")
        assert found is not None
        assert found.streamed is streamed


async def test_the_looks_of_a_flight_are_waited_for() -> None:
    one, found = flight(), list[object]()

    async def search() -> None:
        assert await seen.sized("question", ((1, 1),))  # it may be
        found.append(await seen.pixel("pixel"))
        found.append(await seen.nearest("question", "space", VECTORS, 0.9, 5))

    seen = lookout([one])
    seen.turn(fits)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(search)
        await until_waiting()
        assert found == []
        one.decoded(((2, 2),), "pixel")
        await until_waiting()
        assert found == [one.entry]
        one.embedded(Embedded("space", VECTORS, 0.9), (b"evidence",))
        one.looked()
    assert found[1] == [Candidate(one.entry, 1.0)]
    assert await seen.evidence(one.entry.id) == (b"evidence",)
    assert not await seen.sized("question", ((1, 1),))


async def test_but_not_for_long() -> None:
    seen = lookout([flight()], wait_s=0.01)
    seen.turn(fits)
    with anyio.fail_after(LONG_S):
        assert await seen.pixel("pixel") is None
        assert await seen.nearest("question", "space", VECTORS, 0.9, 5) == []


async def test_only_vectors_of_the_same_space_and_form_are_compared() -> None:
    one = flight()
    one.embedded(Embedded("space", VECTORS, 0.9), ())
    one.looked()
    seen = lookout([one])
    seen.turn(fits)

    assert await seen.nearest("question", "another", VECTORS, 0.9, 5) == []
    assert await seen.nearest("question", "space", np.repeat(VECTORS, 2, axis=0), 0.9, 5) == []
    assert await seen.nearest("question", "space", VECTORS[:, ::-1], 0.9, 5) == []


async def test_what_may_no_longer_be_joined_has_no_reply() -> None:
    one = flight()
    seen = lookout([one])
    seen.turn(fits)
    one.joinable = False

    assert await seen.reply(one.entry.id) is None


def test_a_question_whose_answer_could_not_be_shared_goes_apart_for_a_while() -> None:
    flights = Flights[Flight]()
    for number in range(3):
        one = flight(question=f"q{number}")
        with flights.flying(one, lambda now_s=float(number): now_s):  # type: ignore[misc]
            one.shareable = False

    assert [flights.goes_apart("q0", now_s) for now_s in (0.0, APART_S - 0.1, APART_S)] == [True, True, False]
    assert not flights.goes_apart("q9", 0.0)
    later = flight(question="later")
    with flights.flying(later, lambda: 2 + APART_S):
        later.shareable = False
    assert list(flights._apart) == ["later"]  # what is over is forgotten

"""One reply for several clients: nobody holds up anybody, and nobody waits for what will not come."""

from typing import Any

import anyio
import pytest

from gateway.capture import Answered
from gateway.crowd import Crowd, Outbox, Seat, Tee, Unkept, Whole
from gateway.dialects.openai_chat import OpenAIChat
from gateway.question import UNCOUNTED, Alone, Question, Reply, Unstored
from tests.contracts.store_contract import record

pytestmark = pytest.mark.anyio

QUESTION = Question("m", {}, (), stream=True, include_usage=False, choices=1, prompt="")
STREAM = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]
HEAD = {"type": "http.response.start", "status": 200, "headers": STREAM}
REPLY = Reply({"id": "1", "choices": []})
BYTES_MAX = 100


def crowd() -> Crowd:
    made = Crowd(record("a").entry, OpenAIChat(), QUESTION, BYTES_MAX)
    made.joinable = True
    return made


def answered(complete: bool = True) -> Answered:
    return Answered(200, [], b"", complete, too_large=False, seconds=2.0)


def taken(seat: Seat) -> list[bytes]:
    return list(iter(seat.take, None))


def body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def test_who_comes_late_gets_what_has_come_and_what_comes() -> None:
    shared = crowd()
    shared.head(200, STREAM)
    with shared.seat(streams=True) as early:
        shared.feed(b"one")
        with shared.seat(streams=True) as late:
            shared.feed(b"two")
            assert taken(early) == taken(late) == [b"one", b"two"]
            assert shared.followers == 2
    assert shared.followers == 0


def test_a_reply_in_one_piece_is_not_told_in_pieces() -> None:
    shared = crowd()
    with shared.seat(streams=True) as early:
        shared.head(200, JSON)
        shared.feed(b"{")
        with shared.seat(streams=True) as late:
            shared.feed(b"}")
            assert taken(early) == taken(late) == []


def test_a_stream_in_a_coding_is_not_told_in_pieces() -> None:
    shared = crowd()
    shared.head(200, [*STREAM, (b"content-encoding", b"gzip")])
    with shared.seat(streams=True) as seat:
        shared.feed(b"\x1f\x8b")
        assert taken(seat) == []


def test_a_follower_that_falls_behind_is_cut_off_and_holds_nothing() -> None:
    shared = crowd()
    shared.head(200, STREAM)
    with shared.seat(streams=True) as slow, shared.seat(streams=True) as quick:
        for _ in range(11):
            shared.feed(b"x" * 10)
            assert taken(quick) == [b"x" * 10]
        assert (slow.fell_behind, quick.fell_behind) == (True, False)
        assert taken(slow) == []


def test_beyond_what_is_held_those_who_want_it_whole_are_let_go_and_those_who_read_along_go_on() -> None:
    shared = crowd()
    shared.head(200, STREAM)
    with shared.seat(streams=True) as along, shared.seat(streams=False) as whole:
        shared.feed(b"x" * 60)
        assert taken(along) == [b"x" * 60]
        shared.feed(b"x" * 60)

        assert taken(along) == [b"x" * 60]
        assert along.end is None
        assert whole.end == Unkept(Alone.LEADER_UNCACHEABLE, None)
        assert not shared.joinable
        with shared.seat(streams=True) as late:
            assert late.end == Unkept(Alone.LEADER_UNCACHEABLE, None)


@pytest.mark.parametrize(
    ("reply", "complete", "why", "ends"),
    [
        (Unstored.TRUNCATED, True, Alone.LEADER_UNCACHEABLE, True),
        (Unstored.TOOL_CALLS, True, Alone.LEADER_UNCACHEABLE, True),
        (Unstored.REPLY_TOO_LARGE, True, Alone.LEADER_UNCACHEABLE, True),
        (Unstored.REPLY_TOO_LARGE, False, Alone.LEADER_UNCACHEABLE, False),
        (Unstored.MALFORMED, True, Alone.LEADER_UNCACHEABLE, False),
        (Unstored.CUT_SHORT, True, Alone.LEADER_FAILED, False),
        (Unstored.ERROR_IN_REPLY, True, Alone.LEADER_FAILED, False),
    ],
)
def test_what_may_not_be_kept_lets_everybody_go(reply: Unstored, complete: bool, why: Alone, ends: bool) -> None:
    shared = crowd()
    shared.head(200, STREAM)
    with shared.seat(streams=True) as seat:
        shared.read(reply, answered(complete))

    assert isinstance(seat.end, Unkept)
    assert (seat.end.why, seat.end.shared is not None) == (why, ends)
    assert (shared.joinable, shared.shareable) == (False, False)


def test_what_has_ended_is_there_for_who_comes_now() -> None:
    shared = crowd()
    shared.read(REPLY, answered())
    shared.close()
    with shared.seat(streams=True) as seat:
        assert isinstance(seat.end, Whole)
        assert seat.end.shared.usage == UNCOUNTED
        assert seat.end.shared.upstream_s == 2.0


@pytest.mark.parametrize("status", [204, 404, 500])
def test_another_status_lets_everybody_go_at_its_head(status: int) -> None:
    shared = crowd()
    with shared.seat(streams=True) as seat:
        shared.head(status, STREAM)
        assert seat.end == Unkept(Alone.LEADER_FAILED, None)


async def test_it_is_deserted_once_the_last_has_left() -> None:
    shared = crowd()
    left: list[bool] = []

    async def wait() -> None:
        await shared.deserted()
        left.append(True)

    async with anyio.create_task_group() as tasks:
        with shared.seat(streams=True):
            with shared.seat(streams=True):
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
            await anyio.wait_all_tasks_blocked()
            assert left == []
    assert left == [True]


class Slow:
    """A client that takes nothing until it is let."""

    def __init__(self) -> None:
        self.took: list[Any] = []
        self.let = anyio.Event()

    async def send(self, message: Any) -> None:
        await self.let.wait()
        self.took.append(message)


async def test_a_slow_client_holds_up_the_upstream_only_while_nobody_follows() -> None:
    shared, client = crowd(), Slow()
    outbox, sent = Outbox(client.send, shared, BYTES_MAX), list[int]()

    async def upstream() -> None:
        await outbox.send(HEAD)
        for number in range(12):
            await outbox.send(body(b"x" * 10))
            sent.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.run)
        tasks.start_soon(upstream)
        await anyio.wait_all_tasks_blocked()
        assert sent == []
        with shared.seat(streams=True):
            await anyio.wait_all_tasks_blocked()
            assert len(sent) == 10  # as much as any follower may fall behind
        client.let.set()
        await outbox.drained()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert client.took == [HEAD, *[body(b"x" * 10)] * 12]


async def test_a_server_that_says_that_the_client_has_left_disturbs_nobody() -> None:
    async def gone(message: Any) -> None:
        raise OSError

    outbox = Outbox(gone, crowd(), BYTES_MAX)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.run)
        await outbox.send(HEAD)
        await outbox.send(body(b"one"))
        tasks.cancel_scope.cancel()


def test_what_is_tapped_is_shared() -> None:
    shared = crowd()
    shared.head(200, STREAM)
    tap = Tee(BYTES_MAX, shared)
    with shared.seat(streams=True) as seat:
        tap.feed(b"one")
    assert (tap.taken(), taken(seat)) == (b"one", [b"one"])

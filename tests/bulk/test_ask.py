"""One question: paced, tried again, read."""

import random
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest

from gateway.bulk.ask import Asker, Pacer, Stopped, cache_of, wait_unless
from gateway.bulk.items import Answer, Failure, GaveUp, Result
from tests.fakes.flaky import Fault, Flaky, first
from tests.fakes.pictures import card
from tests.fakes.upstream import FakeUpstream
from tests.flows.test_passthrough import question

pytestmark = pytest.mark.anyio

NOW_S = 1_700_000_000.0
BUSY: Fault = (429, {"retry-after": "30"})
BROKEN: Fault = (503, {})


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.now_s += seconds


class Never(random.Random):
    def random(self) -> float:
        return 0.0


Ask = Callable[[], Awaitable[Result]]


def asking(upstream: Flaky, time: Time, retries: int = 5, rate: float | None = None) -> Ask:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(upstream), base_url="http://gateway")
    pacer = Pacer(rate, time.monotonic, time.wait)
    asker = Asker(client, pacer, retries, time.monotonic, lambda: NOW_S, time.wait, Never())
    body = httpx.Request("POST", "http://h", json=question(card("48.20"))).read()
    return lambda: asker("/v1/chat/completions", body)


async def test_an_answer_is_read_with_its_tokens():
    result = await asking(Flaky(FakeUpstream(), first([])), Time())()

    assert isinstance(result, Answer)
    assert (result.tokens_in, result.tokens_out, result.model, result.status) == (800, 2, "fake", 200)
    assert b"48.20" in result.body


async def test_what_may_pass_is_tried_again_after_longer_and_longer():
    time, upstream = Time(), Flaky(FakeUpstream(), first([BROKEN] * 3))

    assert isinstance(await asking(upstream, time)(), Answer)
    assert time.waits == [1, 2, 4]
    assert upstream.calls == 4


async def test_everybody_waits_as_long_as_the_server_names():
    time, upstream = Time(), Flaky(FakeUpstream(), first([BUSY]))
    ask = asking(upstream, time)
    pacer: Pacer = ask.__closure__[0].cell_contents.pacer  # type: ignore[attr-defined]  # the one that all share
    assert isinstance(await ask(), Answer)

    assert time.waits == [30]
    assert pacer.held_until_s == 130.0


async def test_after_the_last_attempt_it_has_failed_with_the_servers_own_words():
    upstream = Flaky(FakeUpstream(), lambda number: BROKEN)
    result = await asking(upstream, Time(), retries=2)()

    assert isinstance(result, Failure)
    assert (result.code, result.message, result.status) == ("flaky", "the fake is flaky", 503)
    assert upstream.calls == 3


async def test_what_cannot_get_better_is_not_tried_again():
    for status in (400, 404, 413, 422):
        upstream = Flaky(FakeUpstream(), lambda number, status=status: (status, {}))  # type: ignore[misc]

        assert isinstance(await asking(upstream, Time())(), Failure)
        assert upstream.calls == 1


async def test_a_server_that_is_away_for_hours_is_not_waited_for():
    time, upstream = Time(), Flaky(FakeUpstream(), first([(503, {"retry-after": "86400"})]))

    assert isinstance(await asking(upstream, time)(), Failure)
    assert time.waits == []


async def test_a_refused_key_ends_everything():
    upstream = Flaky(FakeUpstream(), first([(401, {})]))
    with pytest.raises(GaveUp, match="the key is refused"):
        await asking(upstream, Time())()


async def test_nobody_listening_ends_everything_after_the_last_attempt():
    time = Time()
    client = httpx.AsyncClient(base_url="http://127.0.0.1:9")
    pacer = Pacer(None, time.monotonic, time.wait)
    asker = Asker(client, pacer, 2, time.monotonic, lambda: NOW_S, time.wait, Never())
    with pytest.raises(GaveUp, match="cannot be reached"):
        await asker("/v1/chat/completions", b"{}")
    await client.aclose()

    assert time.waits == [1, 2]


async def test_no_more_than_the_rate_start_in_a_second():
    time = Time()
    pacer = Pacer(4.0, time.monotonic, time.wait)
    starts = []
    for _ in range(5):
        await pacer.turn()
        starts.append(time.now_s)

    assert starts == [100.0, 100.25, 100.5, 100.75, 101.0]


async def test_whoever_waits_for_an_attempt_is_let_go_when_all_is_to_stop():
    stop = anyio.Event()
    stop.set()
    with pytest.raises(Stopped):
        await wait_unless(stop, 3600)


@pytest.mark.parametrize(
    ("field", "read"),
    [
        ("lookalike; hit; ttl=10; detail=near", ("near", None)),
        ("lookalike; fwd=miss; detail=first-asked", ("miss", "first-asked")),
        ("lookalike; fwd=miss; collapsed; detail=near", ("near", None)),
        ("lookalike; fwd=miss; collapsed=?0; detail=first-asked", ("miss", "first-asked")),
        ("lookalike; fwd=bypass; detail=picture-by-reference", ("bypass", "picture-by-reference")),
        ("lookalike; fwd=request; detail=no-cache", ("miss", "no-cache")),
        ("edge; hit, lookalike; fwd=stale; detail=stale", ("miss", "stale")),
        ("edge; hit", ("bypass", "no-gateway")),
        ("", ("bypass", "no-gateway")),
    ],
)
async def test_what_the_cache_did_is_read_off_the_reply(field: str, read: tuple[str, str | None]):
    assert cache_of(field) == read

"""Requests in flight at once: one upstream call for those that are alike, a right answer for everybody."""

import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png
from tests.fakes.stepped import Stepped
from tests.flows.conftest import Stage, gateway_over, serving, wait_until_counted, wait_until_ready

pytestmark = pytest.mark.anyio

PATIENCE_S = 60.0
STREAM = {"stream": True}
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass
class Scene:
    """A gateway, an upstream that answers as far as it is let, and clients."""

    stage: Stage
    upstream: Stepped
    client: httpx.AsyncClient

    @property
    def followers(self) -> int:
        return sum(crowd.followers for crowd in self.stage.app.state.running.flights)

    @property
    def in_flight(self) -> int:
        return len(list(self.stage.app.state.running.flights))

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - another thread makes it so
                await anyio.sleep(0.002)

    async def until_led(self, flights: int = 1) -> None:
        await self.until(lambda: self.in_flight == flights and self.upstream.calls >= flights)

    async def until_followed(self, followers: int) -> None:
        await self.until(lambda: self.followers == followers)


@dataclass
class Client:
    """One request, and what has come of it so far."""

    scene: Scene
    picture: bytes = card("48.20")
    options: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    reply: httpx.Response | None = None
    came: bytes = b""
    whole: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def ask(self) -> None:
        content = [
            {"type": "text", "text": "Which price?"},
            {"type": "image_url", "image_url": {"url": data_url(self.picture)}},
        ]
        body = {"model": "m", "messages": [{"role": "user", "content": content}], **self.options}
        with self.scope:
            async with self.scene.client.stream(
                "POST", "/v1/chat/completions", json=body, headers=self.headers
            ) as reply:
                self.reply = reply
                try:
                    async for chunk in reply.aiter_raw():
                        self.came += chunk
                    self.whole = True
                except httpx.RemoteProtocolError:
                    pass

    @property
    def status(self) -> str:
        assert self.reply is not None
        return self.reply.headers["cache-status"].removeprefix("lookalike; ")

    @property
    def streams(self) -> bool:
        return bool(self.options.get("stream"))

    @property
    def events(self) -> list[dict[str, Any]]:
        *lines, _ = [line.removeprefix("data: ") for line in self.came.decode().split("\n\n")]
        return [json.loads(line) for line in lines if line != "[DONE]"]

    @property
    def text(self) -> str:
        if self.streams:
            choices = [choice for event in self.events for choice in event.get("choices", ())]
            return "".join(choice["delta"].get("content", "") for choice in choices)
        return str(json.loads(self.came)["choices"][0]["message"]["content"])

    @property
    def ids(self) -> set[str]:
        return {event["id"] for event in self.events} if self.streams else {json.loads(self.came)["id"]}

    @property
    def usage(self) -> Any:
        return self.events[-1].get("usage") if self.streams else json.loads(self.came)["usage"]

    def answered(self, price: str = "48.20") -> bool:
        ended = not self.streams or self.came.endswith(b"data: [DONE]\n\n")
        return self.whole and ended and self.text == f"prices: {price}"


@pytest.fixture
def scenes(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    with ExitStack() as stack:

        def make(**settings: Any) -> Scene:
            upstream = Stepped()
            url = stack.enter_context(serving(upstream))
            chosen = {
                "embedder": "dct",
                "store": "memory",
                "embed_timeout_s": PATIENCE_S,
                "coalesce_wait_s": PATIENCE_S,
                "coalesce_look_s": PATIENCE_S,
            }
            stage = stack.enter_context(gateway_over(Settings(upstream=url, cache_dir=tmp_path, **(chosen | settings))))
            wait_until_ready(stage)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            client = httpx.AsyncClient(base_url=stage.gateway, timeout=PATIENCE_S, limits=limits, verify=False)
            return Scene(stage, upstream, client)

        yield make


@pytest.fixture
async def scene(scenes: Callable[..., Scene]) -> Any:
    made = scenes()
    yield made
    await made.client.aclose()


async def led(scene: Scene, leader: Client, followers: list[Client], tasks: Any, let: float = 0) -> None:
    """The leader is in flight, and all of these follow it."""
    scene.upstream.open = let
    tasks.start_soon(leader.ask)
    await scene.until_led()
    for follower in followers:
        tasks.start_soon(follower.ask)
    await scene.until_followed(len(followers))


async def test_the_same_question_many_times_at_once_is_one_call(scene: Scene) -> None:
    leader, followers = Client(scene), [Client(scene) for _ in range(20)]
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, followers, tasks)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 21)
    stats = scene.stage.stats()

    assert all(client.answered() for client in (leader, *followers))
    assert scene.upstream.calls == 1
    assert len(set.union(leader.ids, *(follower.ids for follower in followers))) == 21
    assert {follower.status for follower in followers} == {"fwd=miss; collapsed; detail=exact"}
    assert (stats["hits"]["exact"], stats["collapsed"], stats["misses"]["total"]) == (
        20,
        {"total": 20, "in_vain": {}},
        1,
    )
    assert (stats["saved"]["calls"], stats["saved"]["tokens_in"]) == (20, 20 * 800)
    assert (stats["latency"]["hit"]["count"], stats["latency"]["collapsed"]["count"], stats["stored"]) == (0, 20, 1)


@pytest.mark.parametrize("options", [{}, STREAM])
async def test_a_fault_of_ours_while_telling_a_follower_sends_it_to_the_upstream(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    def broken(*given: Any) -> Any:
        raise RuntimeError("a bug of ours")

    caplog.set_level("CRITICAL")
    monkeypatch.setattr("gateway.follow.capture.render", broken)
    monkeypatch.setattr("gateway.follow.Retelling.feed", broken)
    leader, follower = Client(scene, options=options), Client(scene, options=options)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [follower], tasks)
        scene.upstream.open = math.inf

    assert leader.answered()
    assert follower.answered()
    assert scene.upstream.calls == 2


async def test_a_burst_of_the_same_question_is_one_call(scene: Scene) -> None:
    clients = [Client(scene, options=STREAM) for _ in range(20)]
    scene.upstream.open = 0
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.ask)
        await scene.until_followed(19)
        scene.upstream.open = math.inf

    assert all(client.answered() for client in clients)
    assert scene.upstream.calls == 1


async def test_a_stream_is_told_while_the_leaders_comes(scene: Scene) -> None:
    leader, plain, counted = (
        Client(scene, options=COUNTED),
        Client(scene, options=STREAM),
        Client(scene, options=COUNTED),
    )
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [plain, counted], tasks, let=3)  # the head, the role, the first word
        await scene.until(lambda: all(b"prices:" in client.came for client in (leader, plain, counted)))
        assert not any(client.whole for client in (leader, plain, counted))
        late = Client(scene, options=STREAM)
        tasks.start_soon(late.ask)
        await scene.until(lambda: b"prices:" in late.came)
        scene.upstream.open = math.inf

    assert all(client.answered() for client in (leader, plain, counted, late))
    assert scene.upstream.calls == 1
    assert len(set.union(leader.ids, plain.ids, counted.ids, late.ids)) == 4
    assert counted.usage == leader.usage != None  # noqa: E711
    assert plain.usage is None
    assert all(event["created"] > 1_700_000_000 for event in plain.events)


async def test_the_other_form_comes_once_the_answer_is_whole(scene: Scene) -> None:
    leader, follower = Client(scene, options=COUNTED), Client(scene)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [follower], tasks, let=3)
        scene.upstream.open = math.inf
    assert leader.answered()
    assert follower.answered()
    assert follower.usage["prompt_tokens"] == 800

    leader, follower = Client(scene, card("10.00")), Client(scene, card("10.00"), COUNTED)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [follower], tasks)
        scene.upstream.open = math.inf
    assert leader.answered("10.00")
    assert follower.answered("10.00")
    assert follower.usage["prompt_tokens"] == 800
    assert scene.upstream.calls == 2


async def test_who_needs_counts_does_not_follow_a_stream_without_them(scene: Scene) -> None:
    scene.upstream.open = 0
    clients = [Client(scene, options=STREAM), Client(scene)]
    async with anyio.create_task_group() as tasks:
        for number, client in enumerate(clients, 1):
            tasks.start_soon(client.ask)
            await scene.until_led(number)
        scene.upstream.open = math.inf

    assert [client.answered() for client in clients] == [True, True]
    assert scene.upstream.calls == 2


async def test_near_duplicates_are_one_call(scene: Scene) -> None:
    picture = cards.draw("48.20")
    leader = Client(scene, png(picture))
    others = [jpeg(picture, quality) for quality in (95, 90, 85)]
    followers = [Client(scene, png(picture, "other bytes")), *(Client(scene, other) for other in others)]
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, followers, tasks)
        scene.upstream.open = math.inf
    details = [follower.status.rpartition("=")[2] for follower in followers]

    assert all(client.answered() for client in (leader, *followers))
    assert details == ["pixel", "near", "near", "near"]
    assert scene.upstream.calls == 1


async def test_a_burst_of_near_duplicates_is_one_call(scene: Scene) -> None:
    picture = cards.draw("48.20")
    clients = [Client(scene, jpeg(picture, quality), STREAM) for quality in (95, 93, 91, 89, 87, 85)]
    scene.upstream.open = 0
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.ask)
        await scene.until_followed(5)
        scene.upstream.open = math.inf

    assert all(client.answered() for client in clients)
    assert scene.upstream.calls == 1


async def test_look_alikes_have_calls_of_their_own(scene: Scene) -> None:
    prices = ["48.20", "48.90", "43.20"]
    scene.upstream.open = 0
    clients = [Client(scene, card(price)) for price in prices]
    async with anyio.create_task_group() as tasks:
        for number, client in enumerate(clients, 1):
            tasks.start_soon(client.ask)
            await scene.until_led(number)
        scene.upstream.open = math.inf

    assert [client.answered(price) for client, price in zip(clients, prices, strict=True)] == [True] * 3
    assert scene.upstream.calls == 3


async def test_another_tenants_request_is_not_seen(scene: Scene) -> None:
    scene.upstream.open = 0
    clients = [Client(scene, headers={"authorization": f"Bearer {name}"}) for name in ("alice", "mallory")]
    async with anyio.create_task_group() as tasks:
        for number, client in enumerate(clients, 1):
            tasks.start_soon(client.ask)
            await scene.until_led(number)
        assert scene.followers == 0
        scene.upstream.open = math.inf

    assert {client.status for client in clients} == {"fwd=miss; detail=first-asked"}


async def test_when_the_leader_leaves_its_call_goes_on_for_the_others(scene: Scene) -> None:
    leader, followers = Client(scene, options=STREAM), [Client(scene, options=STREAM) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, followers, tasks, let=3)
        await scene.until(lambda: b"prices:" in leader.came)
        leader.scope.cancel()
        followers[0].scope.cancel()
        await scene.until_followed(2)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 4)
    stats = scene.stage.stats()

    assert all(follower.answered() for follower in followers[1:])
    assert not leader.whole
    assert (scene.upstream.calls, scene.upstream.cancelled) == (1, 0)
    assert (stats["stored"], stats["errors"]) == (1, {"client-gone": 2})


async def test_when_everybody_has_left_the_call_is_cancelled(scene: Scene) -> None:
    leader, followers = Client(scene, options=STREAM), [Client(scene, options=STREAM) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, followers, tasks, let=3)
        for client in (leader, *followers):
            client.scope.cancel()
        await scene.until(lambda: scene.upstream.cancelled == 1)
    await scene.until(lambda: scene.in_flight == 0)


@pytest.mark.parametrize("fate", ["status=500", "status=429", "finish=tool_calls", "finish=length", "cut"])
async def test_a_leader_whose_answer_cannot_be_shared_releases_everybody_at_once(scene: Scene, fate: str) -> None:
    leader, followers = Client(scene, headers={"x-fake": fate}), [Client(scene) for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, followers, tasks)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 6)
    why = "leader-uncacheable" if "finish" in fate else "leader-failed"

    assert all(follower.answered() for follower in followers)
    assert {follower.status for follower in followers} == {"fwd=miss; collapsed=?0; detail=first-asked"}
    assert scene.upstream.calls == 6
    assert scene.stage.stats()["collapsed"] == {"total": 0, "in_vain": {why: 5}}


async def test_after_that_nobody_waits_for_that_question_for_a_while(scene: Scene) -> None:
    await Client(scene, headers={"x-fake": "status=500"}).ask()
    await scene.until(lambda: scene.in_flight == 0)
    clients = [Client(scene) for _ in range(5)]
    scene.upstream.open = 0
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.ask)
        await scene.until(lambda: scene.upstream.calls == 6)
        scene.upstream.open = math.inf

    assert all(client.answered() for client in clients)
    assert {client.status for client in clients} == {"fwd=miss; detail=first-asked"}


async def test_a_stream_that_breaks_breaks_for_those_who_have_begun_and_for_no_other(scene: Scene) -> None:
    leader = Client(scene, options=COUNTED, headers={"x-fake": "cut-after=3"})
    begun, waiting = Client(scene, options=STREAM), Client(scene)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [begun, waiting], tasks, let=3)
        await scene.until(lambda: b"prices:" in begun.came)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 3)

    assert (leader.whole, begun.whole, waiting.answered()) == (False, False, True)
    assert scene.stage.stats()["errors"] == {"upstream-cut-short": 2}
    assert scene.stage.stats()["collapsed"] == {"total": 0, "in_vain": {"leader-failed": 1}}


async def test_a_truncated_stream_ends_for_a_follower_as_it_does_for_the_leader(scene: Scene) -> None:
    leader = Client(scene, options=STREAM, headers={"x-fake": "finish=length"})
    follower = Client(scene, options=STREAM)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [follower], tasks, let=3)
        await scene.until(lambda: b"prices:" in follower.came)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 2)

    assert (leader.answered(), follower.answered()) == (True, True)
    assert follower.events[-1]["choices"][0]["finish_reason"] == "length"
    assert (scene.stage.stats()["stored"], scene.stage.stats()["collapsed"]["total"]) == (0, 1)


async def test_nobody_waits_for_an_upstream_that_is_stuck(scenes: Callable[..., Scene]) -> None:
    scene = scenes(coalesce_wait_s=0.05)
    leader, follower = Client(scene, headers={"x-fake": "text=slow"}), Client(scene)
    async with scene.client, anyio.create_task_group() as tasks:
        scene.upstream.open = 0
        tasks.start_soon(leader.ask)
        await scene.until_led()
        tasks.start_soon(follower.ask)
        await scene.until(lambda: scene.upstream.calls == 2)
        scene.upstream.open = math.inf
    wait_until_counted(scene.stage, 2)

    assert follower.answered()
    assert scene.stage.stats()["collapsed"]["in_vain"] == {"leader-stalled": 1}


async def test_a_follower_keeps_to_the_callers_wishes(scene: Scene) -> None:
    def wishing(wish: str) -> Client:
        return Client(scene, headers={"cache-control": wish})

    copy = jpeg(cards.draw("48.20"), 90)
    only_exact = Client(scene, copy, headers={"x-lookalike-mode": "exact"})
    no_store, only_if_cached, no_cache = map(wishing, ("no-store", "only-if-cached", "no-cache"))
    async with anyio.create_task_group() as tasks:
        await led(scene, Client(scene), [no_store], tasks)
        await only_if_cached.ask()
        for number, client in enumerate((no_cache, only_exact), 2):
            tasks.start_soon(client.ask)
            await scene.until_led(number)
        scene.upstream.open = math.inf

    assert only_if_cached.reply is not None
    assert only_if_cached.reply.status_code == 504
    assert no_store.status == "fwd=miss; collapsed; detail=exact"
    assert no_cache.status == "fwd=request; detail=no-cache"
    assert "collapsed" not in only_exact.status
    assert scene.upstream.calls == 3


@pytest.mark.parametrize("settings", [{"coalesce": False}, {"mode": "shadow"}])
async def test_where_it_is_not_wanted_everybody_asks(scenes: Callable[..., Scene], settings: dict[str, Any]) -> None:
    scene = scenes(**settings)
    clients = [Client(scene) for _ in range(5)]
    async with scene.client, anyio.create_task_group() as tasks:
        scene.upstream.open = 0
        for client in clients:
            tasks.start_soon(client.ask)
        await scene.until(lambda: scene.upstream.calls == 5)
        scene.upstream.open = math.inf

    assert all(client.answered() for client in clients)


async def test_where_tools_are_offered_a_stream_is_told_once_it_is_whole(scene: Scene) -> None:
    tools = {"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}]}
    leader, follower = Client(scene, options=STREAM | tools), Client(scene, options=STREAM | tools)
    async with anyio.create_task_group() as tasks:
        await led(scene, leader, [follower], tasks, let=3)
        await scene.until(lambda: b"prices:" in leader.came)
        assert follower.came == b""
        scene.upstream.open = math.inf

    assert (leader.answered(), follower.answered(), scene.upstream.calls) == (True, True, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_whoever_comes_leaves_and_fails_everybody_who_stays_is_answered_right(scene: Scene, seed: int) -> None:
    """Sixty clients of two tenants with copies and look-alikes, streams and whole answers, an upstream
    that fails, cuts and calls tools, clients that leave."""
    chance = random.Random(seed)
    prices = ["48.20", "48.90", "77.10"]
    pictures = {price: [card(price), *(jpeg(cards.draw(price), quality) for quality in (95, 90))] for price in prices}
    fates = [""] * 12 + ["status=500", "finish=length", "cut-after=3", "cut", "error-after=3"]
    clients: list[tuple[Client, str, str]] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(60):
            price, fate, leaves = chance.choice(prices), chance.choice(fates), chance.random() < 0.25
            who = {"authorization": f"Bearer {chance.choice(['alice', 'bob'])}"}
            options = chance.choice([{}, STREAM, COUNTED])
            client = Client(scene, chance.choice(pictures[price]), options, who | ({"x-fake": fate} if fate else {}))
            clients.append((client, price, fate))
            scene.upstream.open = chance.choice([0, 1, 2, 3, 4, math.inf])
            tasks.start_soon(client.ask)
            await anyio.sleep(chance.choice([0, 0, 0.002, 0.02]))
            if leaves:
                chance.choice(clients)[0].scope.cancel()
        scene.upstream.open = math.inf
    stayed = [(client, price, fate) for client, price, fate in clients if not client.scope.cancelled_caught]
    wait_until_counted(scene.stage, len(stayed))
    await scene.until(lambda: scene.in_flight == 0)
    stats = scene.stage.stats()

    assert len(stayed) > 30
    for client, price, fate in stayed:
        assert client.reply is not None
        if client.whole and not fate:
            assert client.answered(price), client.status
        elif not fate:  # it followed a stream that broke, and had begun
            assert client.streams
            assert "collapsed;" in client.status
        if client.streams and client.reply.status_code == 200:
            assert f"prices: {price}".startswith(client.text)
    assert scene.upstream.calls <= 60 - stats["hits"]["total"]
    assert stats["collapsed"]["total"] > 0
    assert scene.followers == 0
    flights = scene.stage.app.state.running.flights
    assert (flights._flying, flights._lookouts, flights._landings, flights._landed) == ({}, {}, {}, {})

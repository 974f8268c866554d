"""A thousand streams at once, each of its own answer; what they cost, and that each is right."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.chaos.client import Verdict, ask, judge
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.storm import opened
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import World


@dataclass
class Crowd:
    right: int = 0
    at_once: int = 0  # the most that were open at the upstream at one time
    illegal: list[str] = field(default_factory=list)
    seconds: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    during: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


async def streamed(world: World, upstream: Upstream, gateway: Gateway, streams: int) -> Crowd:
    """`upstream` waits before each answer long enough for all of them to be open."""
    crowd, begun = Crowd(before=gateway.held()), time.monotonic()
    asks = (one for one in world.asks(10**9) if one.key.dialect == "openai-chat")
    # No two ask the same, and none is answered from the cache.
    fresh = {"cache-control": "no-cache"}
    chosen = [replace(next(asks), stream=True, wishes=fresh, leaves_after_s=None) for _ in range(streams)]
    async with opened(streams) as client:

        async def one(number: int) -> None:
            came = await ask(client, gateway.url, world, chosen[number])
            verdict = judge(chosen[number], came, upstream)
            crowd.right += verdict is Verdict.RIGHT
            if not verdict.is_legal:
                crowd.illegal.append(f"{verdict}: {came.status} {came.error} {came.body[-200:]!r}")

        async def watch() -> None:
            while True:
                if upstream.connections > crowd.at_once:
                    crowd.at_once = upstream.connections
                    crowd.during = gateway.held()
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            async with asyncio.TaskGroup() as all_of_them:
                for number in range(streams):
                    all_of_them.create_task(one(number))
            watching.cancel()
    crowd.seconds = time.monotonic() - begun
    await asyncio.sleep(8.0)  # idle connections to the upstream are closed meanwhile
    crowd.after = gateway.held()
    return crowd

"""Many clients at once, an upstream in trouble, and a gateway whose own parts fail: what each client gets is judged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.chaos.client import Came, Verdict, ask, judge
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import Ask, World

_SETTLE_S = 6.0  # longer than anything that was made to hang


@dataclass
class Tale:
    """What became of a storm."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    illegal: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, sampled
    seconds: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    slowest_s: float = 0.0

    @property
    def is_sound(self) -> bool:
        return not self.illegal

    def judged(self, one: Ask, came: Came, verdict: Verdict, did: list[str]) -> None:
        self.verdicts[verdict] += 1
        self.hits[came.cache.rpartition("detail=")[2] if came.hit else "no hit"] += 1
        if not verdict.is_legal:
            self.illegal.append(
                f"{verdict}: {one} {came.status} {came.cache!r} {came.error} {did} {came.body[-300:]!r}"
            )


async def storm(
    asks: Iterator[Ask],
    world: World,
    upstream: Upstream,
    gateway: Gateway,
    clients: int,
    told: Callable[[Tale], None] = lambda tale: None,
    each_s: float = 0.0,
) -> Tale:
    """Every ask, by `clients` at once; each of them waits `each_s` between two."""
    tale, begun = Tale(before=gateway.held()), time.monotonic()
    async with opened(clients) as client:

        async def one_after_another() -> None:
            for one in asks:
                asked_s = time.monotonic()
                came = await ask(client, gateway.url, world, one)
                tale.slowest_s = max(tale.slowest_s, time.monotonic() - asked_s)
                tale.judged(one, came, judge(one, came, upstream), upstream.did.get(one.number, []))
                told(tale)
                await asyncio.sleep(each_s)

        async def watch() -> None:
            while gateway.is_running:
                tale.memory.append(gateway.memory())
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            async with asyncio.TaskGroup() as crowd:
                for _ in range(clients):
                    crowd.create_task(one_after_another())
            watching.cancel()
    tale.seconds = time.monotonic() - begun
    gateway.end_faults()
    await asyncio.sleep(_SETTLE_S)
    tale.after = gateway.held()
    return tale


@asynccontextmanager
async def opened(clients: int) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
        yield client

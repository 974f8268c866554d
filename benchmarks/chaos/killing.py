"""kill -9 under load, again and again: when the store is opened again it is sound, and no acknowledged answer is gone.

Acknowledged is what the gateway said that it stored (`stored` in its log line): it says so when the write is durable.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.chaos.client import Verdict, ask, judge
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.storm import opened
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import Ask, World
from cache.stores.embedded import EmbeddedStore


@dataclass
class Toll:
    kills: int = 0
    acknowledged: int = 0
    entries: int = 0
    hits: int = 0
    answers: int = 0
    wrong: list[str] = field(default_factory=list)


async def killed(
    world: World,
    upstream: Upstream,
    url: str,
    folder: Path,
    times: int,
    seed: int,
    clients: int = 8,
    told: Callable[[Toll], None] = lambda toll: None,
) -> Toll:
    toll, chance = Toll(), random.Random(seed)
    gateway = Gateway(url, folder, log_level="info")
    asks = world.asks(10**9)
    for _ in range(times):
        gateway.start()
        await _load_until_killed(gateway, world, upstream, asks, clients, chance.uniform(0.1, 4.0), toll)
        toll.kills += 1
        await _reopened(folder, toll)
        told(toll)
    return toll


async def _load_until_killed(
    gateway: Gateway, world: World, upstream: Upstream, asks: Iterator[Ask], clients: int, after_s: float, toll: Toll
) -> None:
    killed = asyncio.Event()

    async def one_after_another() -> None:
        while not killed.is_set():
            # Nothing that is asked anew although it is stored: its answer would take the place of an acknowledged one.
            one = replace(next(asks), wishes={}, stream=False)
            came = await ask(client, gateway.url, world, one)
            toll.answers += came.ended
            toll.hits += came.hit
            verdict = judge(one, came, upstream)
            if verdict in (Verdict.WRONG, Verdict.FOREIGN) or (verdict is Verdict.INVENTED and came.ended):
                toll.wrong.append(f"{verdict}: {one}")

    async with opened(clients) as client, asyncio.TaskGroup() as crowd:
        for _ in range(clients):
            crowd.create_task(one_after_another())
        await asyncio.sleep(after_s)
        gateway.kill()
        killed.set()


async def _reopened(folder: Path, toll: Toll) -> None:
    acknowledged = {line["stored"] for line in _lines(folder / "log.jsonl") if line.get("stored")}
    store = await asyncio.to_thread(EmbeddedStore.open, folder / "store", time.time, 2**40)
    try:
        held = {kept.entry.id for kept in await store.entries()}
        toll.wrong += await store.check()
        toll.wrong += [f"entry {entry} was acknowledged and is gone" for entry in acknowledged - held]
        toll.acknowledged, toll.entries = len(acknowledged), len(held)
    finally:
        await store.close()


def _lines(log: Path) -> Iterator[dict[str, object]]:
    """The whole lines of the log: the last one may have been cut by the kill."""
    for line in log.read_bytes().split(b"\n")[:-1]:
        if line.startswith(b"{"):
            yield json.loads(line)

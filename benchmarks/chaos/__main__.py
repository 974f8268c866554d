"""Chaos on purpose, and what the gateway makes of it. Each command prints what it found, and exits with 1 where that is
not as promised.

    python -m benchmarks.chaos storm    clients, a faulty upstream, faulty parts of the gateway: all answers are judged
    python -m benchmarks.chaos soak     the same without faults and for long: memory, files and tasks must stay flat
    python -m benchmarks.chaos kill     kill -9 under load at random points, and the store opened again
    python -m benchmarks.chaos streams  a thousand streams at once
    python -m benchmarks.chaos disks    a full disk (needs the right to mount), and one that takes no writes
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.chaos import disks
from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.killing import Toll, killed
from benchmarks.chaos.storm import Tale, storm
from benchmarks.chaos.streams import streamed
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import Ask, World


def main() -> None:
    given = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        sound = asyncio.run(given.run(given, Path(folder)))
    print("as promised" if sound else "NOT AS PROMISED")
    sys.exit(0 if sound else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, **options: Any) -> None:
        one = commands.add_parser(name)
        one.set_defaults(run=run)
        for option, default in {"seed": 1, **options}.items():
            one.add_argument(f"--{option}", type=type(default), default=default)

    # Shares: of the upstream's replies that go wrong, and of calls to a part of the gateway that fail.
    command("storm", _storm, requests=20_000, clients=12, trouble=0.2, faults=0.005)
    command("soak", _soak, minutes=30.0, clients=8)
    command("kill", _kill, times=200, clients=8)
    command("streams", _streams, streams=1000)
    command("disks", _disks, requests=200)
    return parser


async def _storm(given: argparse.Namespace, folder: Path) -> bool:
    world = World(given.seed)
    upstream = Upstream(world, given.seed + 1, given.trouble)
    settings = {"read_timeout_s": 2.0, "cache_bytes_max": 2**23}
    with Gateway(await upstream.start(), folder, given.seed, given.faults, **settings) as gateway:
        tale = await storm(world.asks(given.requests), world, upstream, gateway, given.clients, _progress)
        wrong = _told(tale, upstream, gateway)
    await upstream.stop()
    return tale.is_sound and not wrong


async def _soak(given: argparse.Namespace, folder: Path) -> bool:
    world = World(given.seed)
    upstream = Upstream(world, given.seed + 1, trouble=0.02)
    with Gateway(await upstream.start(), folder, cache_bytes_max=2**23) as gateway:
        tale = await storm(_for(given.minutes * 60, world), world, upstream, gateway, given.clients, _progress, 0.05)
        wrong = _told(tale, upstream, gateway)
    await upstream.stop()
    tenth = len(tale.memory) // 10
    early, late = max(tale.memory[tenth * 3 : tenth * 6]), max(tale.memory[tenth * 7 :])
    print(f"memory at the most: {early / 2**20:.0f} MiB from 30 to 60 % of the time, {late / 2**20:.0f} MiB from 70 %")
    return tale.is_sound and not wrong and late < early * 1.1


def _for(seconds: float, world: World) -> Iterator[Ask]:
    end_s = time.monotonic() + seconds
    return itertools.takewhile(lambda one: time.monotonic() < end_s, world.asks(10**9))


async def _kill(given: argparse.Namespace, folder: Path) -> bool:
    # Questions enough that most of what is asked is new, and stored. Without keys: after a restart, one that was not
    # proved yet is asked anew, and its answer takes the place of an acknowledged one.
    world = World(given.seed, prices=40, prompts=40, tenants=0, leaving=0.0)
    upstream = Upstream(world, given.seed + 1, trouble=0.0, delay_s=0.0)
    url = await upstream.start()

    def progress(toll: Toll) -> None:
        print(f"\r{toll.kills} kills, {toll.entries} entries, {len(toll.wrong)} wrong", end="", file=sys.stderr)

    toll = await killed(world, upstream, url, folder, given.times, given.seed, given.clients, progress)
    await upstream.stop()
    print(
        f"{toll.kills} kills; {toll.answers} answers, {toll.hits} of them hits; {toll.acknowledged} acknowledged, "
        f"{toll.entries} entries in the end; {len(toll.wrong)} wrong"
    )
    for line in toll.wrong[:20]:
        print("WRONG", line)
    return not toll.wrong


async def _streams(given: argparse.Namespace, folder: Path) -> bool:
    world = World(given.seed, tenants=40, prompts=40, leaving=0.0)
    upstream = Upstream(world, given.seed + 1, trouble=0.0, delay_s=10.0)
    with Gateway(await upstream.start(), folder, read_timeout_s=300, upstream_connections_max=2000) as gateway:
        crowd = await streamed(world, upstream, gateway, given.streams)
        wrong = gateway.wrong()
    await upstream.stop()
    print(f"{crowd.right} of {given.streams} right, at most {crowd.at_once} at once, {crowd.seconds:.0f} s")
    print(f"held before: {crowd.before}\nheld during: {crowd.during}\nheld after:  {crowd.after}")
    print("store, checked:", wrong or "sound")
    for line in crowd.illegal[:20]:
        print("ILLEGAL", line)
    return crowd.right == given.streams and not wrong


async def _disks(given: argparse.Namespace, folder: Path) -> bool:
    sound = True
    for run in (disks.full, disks.unwritable):
        world = World(given.seed, prices=40, prompts=40, leaving=0.0)
        upstream = Upstream(world, given.seed + 1, trouble=0.0, delay_s=0.0)
        place = folder / run.__name__
        place.mkdir()
        report = await run(world, upstream, await upstream.start(), place, given.requests)
        await upstream.stop()
        print(
            f"{report.what}: {report.answered} answered, {report.hits} of them hits; "
            f"{report.faults} answers could not be stored"
        )
        for line in (*report.illegal[:10], *report.wrong[:10]):
            print("WRONG", line)
        sound = sound and report.is_sound
    return sound


def _progress(tale: Tale) -> None:
    if (done := tale.verdicts.total()) % 500 == 0:
        print(f"\r{done} requests, {len(tale.illegal)} illegal", end="", file=sys.stderr, flush=True)


def _told(tale: Tale, upstream: Upstream, gateway: Gateway) -> list[str]:
    """What is wrong with the store, after all the rest has been told."""
    stats, wrong = gateway.stats(), gateway.wrong()
    for verdict, count in tale.verdicts.most_common():
        print(f"{count:8}  {verdict}")
    print("cache:", dict(tale.hits.most_common()))
    print("upstream:", dict(upstream.counts.most_common()))
    print("not cached:", stats["bypasses"]["by_reason"], stats["misses"]["by_reason"])
    print("not stored:", stats["not_stored"])
    memory = [round(each / 2**20) for each in tale.memory]
    print(f"memory, MiB: {memory[0]} at the start, {max(memory)} at the most, {memory[-1]} at the end")
    print(f"held before: {tale.before}\nheld after:  {tale.after}")
    print(f"{tale.seconds:.0f} s; the slowest request took {tale.slowest_s:.1f} s")
    print(
        f"store, checked: {wrong or 'sound'}; {stats['store']['entries']} entries, {stats['store']['evicted']} evicted"
    )
    for line in tale.illegal[:20]:
        print("ILLEGAL", line)
    return wrong


if __name__ == "__main__":
    main()

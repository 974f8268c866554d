"""Chaos on purpose, and what the gateway makes of it. Prints one table each; run as

python -m benchmarks.chaos storm [--requests 20000] [--clients 32] [--seed 1]
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.gateway import Gateway
from benchmarks.chaos.storm import Tale, storm
from benchmarks.chaos.upstream import Upstream
from benchmarks.chaos.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("storm")
    one.add_argument("--requests", type=int, default=20_000)
    one.add_argument("--clients", type=int, default=12)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--trouble", type=float, default=0.2, help="share of the upstream's replies that go wrong")
    one.add_argument("--faults", type=float, default=0.01, help="share of calls to a part of the gateway that fail")
    given = parser.parse_args()
    sound = asyncio.run(_storm(given))
    sys.exit(0 if sound else 1)


async def _storm(given: argparse.Namespace) -> bool:
    world = World(given.seed)
    upstream = Upstream(world, given.seed + 1, given.trouble)
    url = await upstream.start()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"read_timeout_s": 2.0, "cache_bytes_max": 2**23}
        with Gateway(url, Path(folder), given.seed, given.faults, **settings) as gateway:
            tale = await storm(world.asks(given.requests), world, upstream, gateway, given.clients, _progress)
            wrong, stats = gateway.wrong(), gateway.stats()
    await upstream.stop()
    tell(tale, upstream)
    print("not cached:", stats["bypasses"]["by_reason"], stats["misses"]["by_reason"])
    print("not stored:", stats["not_stored"])
    print(
        "store, checked:",
        wrong or "sound",
        "| entries",
        stats["store"]["entries"],
        "evicted",
        stats["store"]["evicted"],
    )
    return tale.is_sound and not wrong


def _progress(tale: Tale) -> None:
    if (done := tale.verdicts.total()) % 500 == 0:
        print(f"\r{done} requests, {len(tale.illegal)} illegal", end="", file=sys.stderr, flush=True)


def tell(tale: Tale, upstream: Upstream) -> None:
    for verdict, count in tale.verdicts.most_common():
        print(f"{count:8}  {verdict}")
    print("cache:", dict(tale.hits.most_common()))
    print("upstream:", dict(upstream.counts.most_common()))
    memory = [round(each / 2**20) for each in tale.memory]
    print(f"memory, MiB: {memory[0]} at the start, {max(memory)} at the most, {memory[-1]} at the end")
    print(f"held before: {tale.before}\nheld after:  {tale.after}")
    print(f"{tale.seconds:.0f} s; the slowest request took {tale.slowest_s:.1f} s")
    for line in tale.illegal[:20]:
        print("ILLEGAL", line)


if __name__ == "__main__":
    main()

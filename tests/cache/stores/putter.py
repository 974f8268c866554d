"""Puts and removes entries until it is killed; says on stdout what the store has acknowledged.

Run by test_kill.py: `python -m tests.cache.stores.putter DIRECTORY ROUND PRIVACY`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from cache.stores.embedded import EmbeddedStore
from cache.stores.private import PrivateStore
from tests.contracts.store_contract import Clock, record, unit


def opened(directory: Path, privacy: str) -> Any:
    if privacy == "strict":
        return PrivateStore.open(directory, Clock(), bytes_max=10**9, looks_bytes_max=10**6)
    return EmbeddedStore.open(directory, Clock(), bytes_max=10**9)


async def main(directory: Path, round_: str, privacy: str) -> None:
    store = opened(directory, privacy)
    for number in range(100_000):
        name = f"{round_}-{number}"
        # Every third is too large for one page of the database's log, so that kills fall inside a write, too.
        await store.put(record(name, unit(1, number), reply=bytes(300_000 if number % 3 == 0 else 100)))
        print(f"put {name}", flush=True)
        if number % 4 == 3:
            await store.remove(f"id-{round_}-{number - 2}")
            print(f"removed {round_}-{number - 2}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))

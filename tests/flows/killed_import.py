"""Imports an archive, and is killed once the store has taken so many entries: see test_archive.py."""

import os
import signal
import sys

from cache.entry import Record
from cache.stores.embedded import EmbeddedStore
from gateway.cli import cli

_put = EmbeddedStore.put


def main(archive: str, store: str, most: int) -> None:
    taken = 0

    async def put(self: EmbeddedStore, record: Record) -> None:
        nonlocal taken
        if taken == most:
            os.kill(os.getpid(), signal.SIGKILL)
        await _put(self, record)
        taken += 1

    EmbeddedStore.put = put  # type: ignore[method-assign]
    cli(["import", archive, "--store", store, "--embedder", "dct"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

"""The gateway under test in a process of its own, its own parts troubled on purpose.

    python -m benchmarks.chaos.victim SETTINGS.json

SIGUSR1 writes what it holds (tasks, threads, files, memory) to the pipe that SETTINGS.json names.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import Chance, TroubledEmbedder, TroubledStore, troubled
from cache import guard
from embeddings.base import Loaded
from gateway import app as composition
from gateway import logs
from gateway.config import Settings
from gateway.make import open_store
from gateway.server import _loop_runner, server


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    settings = Settings(**given["settings"])
    logs.configure("json", given.get("log_level", "error"))
    with _loop_runner() as runner:
        runner.run(serve(settings, given))


async def serve(settings: Settings, given: dict[str, Any]) -> None:
    seed, share = given["seed"], given["faults"]
    chances = {name: Chance(seed + place, share) for place, name in enumerate(("store", "embedder", "guard"))}
    load = composition.load_embedder

    def loaded(settings: Settings) -> Loaded:
        well = load(settings)
        return Loaded(TroubledEmbedder(well.embedder, chances["embedder"]))

    composition.load_embedder = loaded
    guard.compare = troubled(guard.compare, chances["guard"])
    store: Any = TroubledStore(open_store(settings), chances["store"])
    application = composition.create_app(settings, store)
    listening = server(application, settings.host, settings.port)
    loop = asyncio.get_running_loop()

    def quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)

    def note() -> None:
        held = {
            "tasks": len(asyncio.all_tasks(loop)),
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
            "memory": resident(os.getpid()),
            "connections": len(listening.server_state.connections),
            "faults": {name: chance.happened for name, chance in chances.items()},
        }
        try:
            pipe = os.open(given["note"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # whoever asked has gone
            return
        os.write(pipe, json.dumps(held).encode() + b"\n")
        os.close(pipe)

    def stop_faults() -> None:
        for chance in chances.values():
            chance.share = 0.0

    loop.set_exception_handler(quiet)
    loop.add_signal_handler(signal.SIGUSR1, note)
    loop.add_signal_handler(signal.SIGUSR2, stop_faults)
    await listening.serve()


def resident(pid: int) -> int:
    """Bytes of memory that a process has in RAM, from /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()

"""The process of the gateway that is tested: started, looked at, stopped."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.chaos.victim import resident

_START_S = 60.0
_STOP_S = 120.0


class Gateway:
    """`python -m benchmarks.chaos.victim` over a folder. With `faults`, its own parts fail that share of the time."""

    def __init__(
        self, upstream: str, folder: Path, seed: int = 0, faults: float = 0.0, log_level: str = "error", **settings: Any
    ) -> None:
        self.folder = folder
        self._note = folder / "held"
        os.mkfifo(self._note)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        common = {"upstream": upstream, "port": self._port, "embedder": "dct", "cache_dir": str(folder / "store")}
        given = {"seed": seed, "faults": faults, "note": str(self._note), "log_level": log_level}
        self._given = folder / "victim.json"
        self._given.write_text(json.dumps(given | {"settings": common | settings}))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.chaos.victim", str(self._given)]
        with (self.folder / "log.jsonl").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
        deadline = time.monotonic() + _START_S
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway did not start; see {self.folder / 'log.jsonl'}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        try:
            reply = httpx.get(f"{self.url}/cache/health", timeout=5)
        except httpx.TransportError:
            return False
        return reply.status_code == 200 and reply.json()["embedder"]["state"] == "ready"

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/cache/stats", timeout=30).json()
        return found

    def wrong(self) -> list[str]:
        found: list[str] = httpx.get(f"{self.url}/cache/health?check=store", timeout=120).json()["store"]["wrong"]
        return found

    def memory(self) -> int:
        return resident(self.pid)

    def held(self) -> dict[str, Any]:
        """What the process holds. It comes through a pipe: files may be what the process cannot write."""
        pipe = os.open(self._note, os.O_RDWR)
        try:
            os.kill(self.pid, signal.SIGUSR1)
            heard = b""
            waiting = select.poll()
            waiting.register(pipe, select.POLLIN)
            while not heard.endswith(b"\n"):
                if not waiting.poll(_START_S * 1000):
                    raise RuntimeError("the gateway does not say what it holds")
                heard += os.read(pipe, 4096)
        finally:
            os.close(pipe)
        found: dict[str, Any] = json.loads(heard)
        return found

    def metric(self, name: str, labels: str = "") -> int:
        """The sum of a counter, in memory alone: the statistics wait while they cannot be written."""
        lines = httpx.get(f"{self.url}/cache/metrics", timeout=30).text.splitlines()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(name) and labels in line)

    async def counted(self, requests: int) -> None:
        """Until so many requests are over, the storing of their answers included."""
        while self.metric("lookalike_requests_total") < requests:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.2)

    def end_faults(self) -> None:
        os.kill(self.pid, signal.SIGUSR2)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_STOP_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

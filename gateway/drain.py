"""uvicorn's server, with an end in which nothing is lost.

told to stop     no new connections, idle ones closed; replies go on, each connection closes behind its reply
after drain_s    connections still open are cut, as if their clients had left: the upstream's work is cancelled
then             answers that were delivered are still stored; then the application stops
told again       as if drain_s were over
told once more   at once, as a kill would: what was stored is safe, counts of the last seconds are not
"""

import math
import socket
from collections.abc import Callable
from types import FrameType

import anyio
import uvicorn

# For answers that are with their clients and not stored yet. A store that erases may take longer, and is cut off.
_STORING_S = 20


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, drain_s: float, draining: Callable[[], None]) -> None:
        """`draining` is called at once when the server is told to stop. `config` must leave the time to wait to us."""
        config.timeout_graceful_shutdown = math.ceil(drain_s) + _STORING_S
        super().__init__(config)
        self._drain_s = drain_s
        self._draining = draining
        self._told = 0
        self._hurry = anyio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._told += 1
        if self._told == 1:
            self._draining()
            super().handle_exit(sig, frame)  # which remembers the signal, to end the process by it afterwards
        elif self._told == 2:
            self._hurry.set()
        else:
            self.force_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._draining()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cut_off)
            await super().shutdown(sockets)
            tasks.cancel_scope.cancel()

    async def _cut_off(self) -> None:
        with anyio.move_on_after(self._drain_s):
            await self._hurry.wait()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

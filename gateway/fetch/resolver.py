"""Names to addresses, in threads of its own.

A lookup cannot be stopped, only left. So there are few at once, and none in the threads that the way to the upstream
needs: whoever makes up slow names slows nobody else down.
"""

import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

import anyio
import anyio.to_thread

from gateway.fetch.errors import Failed

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) to addresses, the preferred one first. Raises Failed."""

_AT_ONCE_MOST = 8


class SystemResolver:
    """The machine's own way to look up names, its hosts file included."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(_AT_ONCE_MOST)
        self._limiter = anyio.CapacityLimiter(2 * _AT_ONCE_MOST)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return await anyio.to_thread.run_sync(self._look_up, host, port, abandon_on_cancel=True, limiter=self._limiter)

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        # Taken here and not before, because whoever waits for this thread may have left.
        if not self._slots.acquire(blocking=False):
            raise Failed("too many names are being looked up at once")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Failed(f"{host} has no address") from error
        finally:
            self._slots.release()
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

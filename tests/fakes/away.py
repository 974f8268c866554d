"""An upstream that can go away and come back: the port stays its own, and refuses while nobody is there."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.server import InThread


class Away:
    """Its address; whoever connects is refused, but for the time of `back`."""

    def __init__(self) -> None:
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that `back` may listen on it
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def back(self, app: Any) -> Iterator[None]:
        async def made() -> Any:
            return app

        with InThread(made, port=self.port):
            yield

    def close(self) -> None:
        self._reserved.close()

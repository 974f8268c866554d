"""A parrot that lets so many through, and holds the others until its gate is opened; and one that fails when told."""

import threading
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread

from tests.fakes.asgi import read, send_json
from tests.fakes.parrot import Parrot


@dataclass
class Turnstile(Parrot):
    lets: int = 10**9
    asked: int = 0
    holding: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.asked += 1
            if self.asked > self.lets:
                self.holding += 1
                await anyio.to_thread.run_sync(self.gate.wait, abandon_on_cancel=True)
        await super().__call__(scope, receive, send)


@dataclass
class Failing(Parrot):
    """The first `failures` requests get this status and error."""

    status: int = 500
    error: dict[str, Any] = field(default_factory=dict)
    failures: int = 10**9
    asked: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or self.asked >= self.failures:
            return await super().__call__(scope, receive, send)
        self.asked += 1
        await read(scope, receive)
        return await send_json(send, {"error": self.error}, self.status)

"""A fake upstream that answers only as far as it is let, so that a test says who comes and goes in between."""

import math
from dataclasses import dataclass
from typing import Any

import anyio

from tests.fakes.upstream import FakeUpstream

_LOOK_EVERY_S = 0.002


@dataclass
class Stepped(FakeUpstream):
    """Of each reply it sends `open` messages: its head, then its body, piece by piece."""

    open: float = math.inf
    cancelled: int = 0  # calls that were broken off from outside

    async def _complete(self, body: dict[str, Any], fakes: dict[str, str], receive: Any, send: Any) -> None:
        sent, ended = 0, False

        async def when_let(message: dict[str, Any]) -> None:
            nonlocal sent, ended
            while sent >= self.open:  # noqa: ASYNC110 - it is let from another thread
                await anyio.sleep(_LOOK_EVERY_S)
            sent += 1
            ended = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        async def watch(scope: anyio.CancelScope) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.cancelled += not ended
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, tasks.cancel_scope)
            await super()._complete(body, fakes, receive, when_let)
            tasks.cancel_scope.cancel()

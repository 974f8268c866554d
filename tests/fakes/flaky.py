"""An upstream that fails as it is told before it answers: what comes for each call is a script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakes.asgi import start

Fault = tuple[int, dict[str, str]]  # a status, and header fields beside it


@dataclass
class Flaky:
    """Passes to `behind` what the script has no fault for. `script` gives the fault of a call by its number, from 0."""

    behind: Any
    script: Callable[[int], Fault | None]
    calls: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.behind(scope, receive, send)
        number, self.calls = self.calls, self.calls + 1
        fault = self.script(number)
        if fault is None:
            return await self.behind(scope, receive, send)
        status, fields = fault
        body = b'{"error": {"message": "the fake is flaky", "code": "flaky"}}'
        await receive()
        named = [(name.encode(), value.encode()) for name, value in fields.items()]
        length = (b"content-length", str(len(body)).encode())
        await send(start(status, [(b"content-type", b"application/json"), length, *named]))
        return await send({"type": "http.response.body", "body": body})


def first(faults: Sequence[Fault]) -> Callable[[int], Fault | None]:
    """These, one for each call, and none after them."""
    return lambda number: faults[number] if number < len(faults) else None

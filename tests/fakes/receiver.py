"""A receiver of webhooks: it takes events, or does what its script says, one step a request.

A step is a status, with `after_s` for Retry-After; `Hang` says nothing until it is told to go on. When the script is
over, everything is taken. An event that was not signed with its key is counted as forged.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson

from gateway.webhooks.signature import NotGenuine, verify
from tests.fakes.asgi import Send, lifespan, read, start

KEY = b"a secret of the tests"


@dataclass(frozen=True)
class Says:
    status: int
    after_s: int | None = None
    location: str | None = None


class Hang:
    pass


@dataclass
class Receiver:
    script: list[Says | Hang] = field(default_factory=list)
    key: bytes = KEY
    clock: Any = None
    got: list[dict[str, Any]] = field(default_factory=list)  # taken, as JSON
    ids: list[str] = field(default_factory=list)  # of every request, taken or not
    forged: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        seen = await read(scope, receive)
        if len(seen.body) != int(seen.header("content-length") or 0):
            return None  # its sender was killed on the way
        step = self.script.pop(0) if self.script else Says(204)
        fields = dict(seen.headers)
        try:
            event_id = verify(self.key, fields, seen.body, float(fields["webhook-timestamp"]))
        except NotGenuine:
            self.forged += 1
            event_id = "?"
        with self._changed:
            self.ids.append(event_id)
            self._changed.notify_all()
        if isinstance(step, Hang):
            while not self.go_on.is_set():
                with anyio.move_on_after(0.01):
                    if (await receive())["type"] == "http.disconnect":
                        return None
            step = Says(204)
        more = [(b"retry-after", str(step.after_s).encode())] if step.after_s is not None else []
        more += [(b"location", step.location.encode())] if step.location else []
        await send(start(step.status, more))
        await send({"type": "http.response.body", "body": b""})
        if 200 <= step.status < 300:
            with self._changed:
                self.got.append(orjson.loads(seen.body))
                self._changed.notify_all()
        return None

    def wait_for(self, got: int = 0, asked: int = 0, within_s: float = 20) -> None:
        """Until so many were taken, and so many requests came."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.got) >= got and len(self.ids) >= asked, within_s)
        assert there, f"only {len(self.got)} of {got} taken, {len(self.ids)} of {asked} asked"

    @property
    def answers(self) -> list[Any]:
        return [event["data"]["answer"] for event in self.got]


def unique(ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(ids))

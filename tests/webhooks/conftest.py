"""An outbox on a file of its own, and receivers on loopback."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.events import Event
from gateway.webhooks.outbox import Outbox
from gateway.webhooks.schedule import Pace
from gateway.webhooks.settings import Webhook
from tests.fakes.receiver import KEY, Receiver
from tests.flows.conftest import serving

QUICK = Pace(first_s=0.001, most_s=0.02)
_PATIENCE_S = 20.0


class Watch:
    """The time of day, and as much later as one likes."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.later_s


def until(true: Callable[[], bool]) -> None:
    tick, ends_s = threading.Event(), time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < ends_s, "it never came true"
        tick.wait(0.002)


def event(number: int = 1, *webhooks: str, **facts: Any) -> Event:
    given: dict[str, Any] = {
        "rule": "damage",
        "webhooks": webhooks or ("orders",),
        "tags": ("parcel",),
        "answer": f"answer {number}",
        "prompt": f"question {number}",
        "label": None,
        "model": "m",
        "dialect": "openai-chat",
        "hit": "miss",
        "entry": f"entry{number}",
        "request": f"request{number}",
        "tenant": "0123456789ab",
        "time_s": time.time(),
    }
    return Event(**given | facts)


class Post:
    """Receivers, and the outboxes that send to them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.clock = Watch()
        self._stack = stack

    def receiver(self, *script: Any) -> tuple[Receiver, str]:
        receiver = Receiver(list(script))
        self._stack.callback(receiver.go_on.set)
        return receiver, self._stack.enter_context(serving(receiver))

    def webhook(self, url: str, name: str = "orders", **settings: Any) -> Webhook:
        return Webhook(name=name, url=url, secret=KEY.decode(), **{"give_up_after_s": 3600} | settings)

    def outbox(self, *webhooks: Webhook, file: Path | None = None, memory: bool = False) -> Outbox:
        place = None if memory else file or self.folder / "webhooks.sqlite"
        outbox = Outbox(webhooks, place, self.clock, QUICK)
        outbox.start()
        self._stack.callback(outbox.close)
        return outbox


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with ExitStack() as stack:
        yield Post(tmp_path, stack)


@pytest.fixture
def dead() -> Iterator[str]:
    """Where nobody listens: a port that is taken, by a socket that accepts nothing."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/hooks"

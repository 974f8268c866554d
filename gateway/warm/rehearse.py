"""Which questions of an input are about one picture: a rehearsal, before any model is asked.

Each question goes, one after the other, through a gateway with the real one's settings, an empty store, and a stand-in
that says "." to everything. What is a hit there looks like a question before it, by the product's own ladder and guard,
and is put off until that one is answered; then it is a hit for good. A rehearsal that errs costs a call, nothing else.
"""

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio.to_thread
import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.bulk.ask import cache_of
from gateway.bulk.items import Failure, Item
from gateway.config import Settings
from gateway.question import Mode
from gateway.warm.kept import why_missing
from gateway.warm.target import Own, Wait, client, in_thread, of_our_own

_TIMEOUT_S: Final = 300.0
_SETTLE_POLL_S: Final = 0.005
_SETTLE_POLLS: Final = 2000
_STORE_BYTES: Final = 2**40  # nothing is turned out
_CHOICE: Final = {"index": 0, "message": {"role": "assistant", "content": "."}, "finish_reason": "stop"}
_ANSWER: Final = orjson.dumps(
    {
        "id": "chatcmpl-rehearsal",
        "object": "chat.completion",
        "created": 0,
        "model": "rehearsal",
        "choices": [_CHOICE],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
)

Composed = Callable[[Item], Awaitable[tuple[str, bytes] | Failure]]


@dataclass(slots=True)
class Rehearsed:
    """What a rehearsal came to. `compared` were read by the cache, and are new or alike."""

    new: int = 0
    alike: Counter[str] = field(default_factory=Counter)  # exact, pixel or near
    passed: Counter[str] = field(default_factory=Counter)  # what the cache would not take, by the reason
    not_compared: int = 0  # other formats than chat completions, and what could not be composed


async def rehearse(
    settings: Settings,
    items: Iterator[tuple[Item, bytes]],
    compose: Composed,
    wait: Wait,
    alike: Callable[[Item], None],
    heard: Callable[[Rehearsed], None],
) -> Rehearsed:
    """Tell `alike` each item that is like one before it. Raises Stopped."""
    async with _stage(settings, wait) as own, client(own.url, _TIMEOUT_S) as asking:
        rehearsal = _Rehearsal(own, asking, compose, wait, alike, settings.pixels_max)
        while (marked := await anyio.to_thread.run_sync(next, items, None)) is not None:
            await rehearsal.ask(marked[0])
            heard(rehearsal.so_far)
        await wait(0)  # items end early where all is to stop
    return rehearsal.so_far


@dataclass(slots=True)
class _Rehearsal:
    own: Own
    asking: httpx.AsyncClient
    compose: Composed
    wait: Wait
    alike: Callable[[Item], None]
    pixels_max: int
    so_far: Rehearsed = field(default_factory=Rehearsed)

    async def ask(self, item: Item) -> None:
        composed, so_far = await self.compose(item), self.so_far
        if isinstance(composed, Failure):
            so_far.not_compared += 1
            return
        path, body = composed
        stored = self.own.stored()
        response = await self.asking.post(path, content=body)
        cache, reason = cache_of(response.headers.get("cache-status", ""))
        if cache == "bypass":
            so_far.passed[reason or cache] += 1
        elif response.status_code != 200:
            so_far.not_compared += 1
        elif cache != "miss":
            so_far.alike[cache] += 1
            self.alike(item)
        elif await self._stores(more_than=stored):
            so_far.new += 1
        else:
            why = await anyio.to_thread.run_sync(why_missing, path, body, _ANSWER, self.pixels_max)
            so_far.passed[why] += 1

    async def _stores(self, more_than: int) -> bool:
        """Whether the answer is kept, once that is settled: then the next question can be like it."""
        for _ in range(_SETTLE_POLLS):
            await self.wait(0)
            if not self.own.is_storing():
                break
            await self.wait(_SETTLE_POLL_S)
        return self.own.stored() > more_than


@asynccontextmanager
async def _stage(settings: Settings, wait: Wait) -> AsyncIterator[Own]:
    async def standin() -> ASGIApp:
        return Starlette(routes=[Route("/{path:path}/chat/completions", _complete, methods=["POST"])])

    with tempfile.TemporaryDirectory(prefix="lookalike-rehearsal-") as folder:
        async with (
            in_thread(standin) as upstream,
            of_our_own(_rehearsal(settings, upstream, Path(folder)), wait) as own,
        ):
            yield own


def _rehearsal(settings: Settings, upstream: str, folder: Path) -> Settings:
    return settings.model_copy(
        update={
            "upstream": upstream,
            "cache_dir": folder,
            "store": "embedded",
            "cache_bytes_max": _STORE_BYTES,
            "mode": Mode.NEAR if settings.mode in (Mode.SHADOW, Mode.OFF) else settings.mode,
        }
    )


async def _complete(request: Request) -> Response:
    await request.body()
    return Response(_ANSWER, media_type="application/json")

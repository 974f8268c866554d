"""A hundred requests at once: how many upstream calls, with and without coalescing. Prints one table; run it as

    python -m benchmarks.coalesce [--requests 100] [--seconds 3]

Gateway and upstream are threads of this process, the embedder is dct, the store in memory and empty. The upstream
reads the price off each card and streams its answer over `--seconds`. All clients send at once: the same file,
the same picture as so many JPEG files, or ten look-alikes (another price) as so many files. Times are of a machine that
does all of this at once: compare them within the table.
"""

import argparse
import asyncio
import base64
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.make import open_store
from gateway.server import InThread

PATH = "/v1/chat/completions"
PRICES = [f"{number}{number}.20" for number in range(10)]
PIECES = 20


@dataclass(frozen=True)
class Asked:
    picture: bytes
    price: str


@dataclass(frozen=True)
class Got:
    right: bool
    first_s: float
    whole_s: float


class Upstream:
    """Streams what it reads, slowly, and counts."""

    def __init__(self, seconds: float) -> None:
        self.calls = 0
        self._pause_s = seconds / PIECES

    async def app(self) -> ASGIApp:
        return Starlette(routes=[Route(PATH, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        content = json.loads(await request.body())["messages"][0]["content"]
        url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
        price = cards.read(Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))))
        return StreamingResponse(self._events(f"chatcmpl-{self.calls}", price), media_type="text/event-stream")

    async def _events(self, name: str, price: str) -> AsyncIterator[bytes]:
        words = ["price", " "] + [""] * (PIECES - 3) + [price]
        for word in words:
            await asyncio.sleep(self._pause_s)
            yield _event(name, {"content": word}, None)
        yield _event(name, {}, "stop")
        yield b"data: [DONE]\n\n"


def _event(name: str, delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": name, "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _file(image: Image.Image, number: int) -> bytes:
    """The picture as one of many files: every quality from 75 to 95, some scaled."""
    scale = (1, 0.95, 0.9, 0.85, 0.8)[number // 21 % 5]
    size = round(image.width * scale), round(image.height * scale)
    scaled = image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)
    file = BytesIO()
    scaled.save(file, "JPEG", quality=75 + number % 21)
    return file.getvalue()


def kinds(count: int) -> dict[str, list[Asked]]:
    first = cards.draw(PRICES[4])
    drawn = {price: cards.draw(price) for price in PRICES}
    alike = [Asked(_file(drawn[PRICES[number % 10]], number // 10), PRICES[number % 10]) for number in range(count)]
    return {
        "the same file": [Asked(_file(first, 0), PRICES[4])] * count,
        "the same picture": [Asked(_file(first, number), PRICES[4]) for number in range(count)],
        "ten look-alikes": alike,
    }


async def ask(client: httpx.AsyncClient, asked: Asked) -> Got:
    url = f"data:image/jpeg;base64,{base64.b64encode(asked.picture).decode()}"
    content = [{"type": "text", "text": "Price?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": content}]}
    begun, first_s, said = time.perf_counter(), 0.0, ""
    async with client.stream("POST", PATH, json=body) as reply:
        async for line in reply.aiter_lines():
            first_s = first_s or time.perf_counter() - begun
            if line.startswith("data: {"):
                said += json.loads(line[6:])["choices"][0]["delta"].get("content", "")
    return Got(said.strip() == f"price {asked.price}", first_s, time.perf_counter() - begun)


def run(requests: Sequence[Asked], seconds: float, coalesce: bool) -> tuple[int, list[Got]]:
    upstream = Upstream(seconds)
    with ExitStack() as stack:
        url = stack.enter_context(InThread(upstream.app)).url
        settings = Settings(upstream=url, store="memory", embedder="dct", coalesce=coalesce)

        async def gateway() -> ASGIApp:
            return create_app(settings, open_store(settings))

        base = stack.enter_context(InThread(gateway)).url

        async def everybody() -> list[Got]:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=base, timeout=120, limits=limits) as client:
                while (await client.get("/cache/health")).json()["embedder"]["state"] == "loading":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                return await asyncio.gather(*(ask(client, asked) for asked in requests))

        got = asyncio.run(everybody())
    return upstream.calls, got


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0, help="that the upstream takes for an answer")
    options = parser.parse_args()
    table = Table("requests", "coalesce", "upstream calls", "right", "first byte p50", "whole p50", "whole p95")
    for name, requests in kinds(options.requests).items():
        for coalesce in (True, False):
            calls, got = run(requests, options.seconds, coalesce)
            whole = [one.whole_s for one in got]
            table.add_row(
                f"{len(requests)} × {name}",
                "on" if coalesce else "off",
                str(calls),
                str(sum(one.right for one in got)),
                f"{statistics.median(one.first_s for one in got):.2f} s",
                f"{statistics.median(whole):.2f} s",
                f"{statistics.quantiles(whole, n=20)[18]:.2f} s",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""A folder of pictures warmed through a real gateway, then the same pictures, re-encoded, asked by the openai SDK:
the share of hits, and wrong answers. Prints one table; run it as

    python -m benchmarks.warmed [--pictures 2000] [--workers 10] [--seed 1]

The model is the demo's stand-in: it reads the price off a drawn card, so an answer that belongs to another card shows.
Any two cards differ in at least one digit; many differ in nothing else.
"""

import argparse
import base64
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import openai
from PIL import Image
from starlette.types import ASGIApp

from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.demo.standin import MODEL, create_standin
from gateway.make import open_store
from gateway.server import InThread

PROMPT = "What is the price?"
KEY = "sk-warmed"
SIZE = (480, 360)
_WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG 90": lambda image: _saved(image, "JPEG", quality=90),
    "JPEG 75": lambda image: _saved(image, "JPEG", quality=75),
    "WebP 85": lambda image: _saved(image, "WEBP", quality=85),
    "80 %, JPEG 88": lambda image: _saved(image.resize((384, 288), Image.Resampling.LANCZOS), "JPEG", quality=88),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warmed-") as place:
        folder = Path(place)
        prices = drawn(folder / "pictures", given.pictures, given.seed)
        asked = Counter[str]()

        async def standin() -> ASGIApp:
            return _counting(create_standin(0.0, time.time), asked)

        with InThread(standin) as upstream:
            settings = Settings(upstream=upstream.url, cache_dir=folder / "store", embedder="dct")

            async def gateway() -> ASGIApp:
                return create_app(settings, open_store(settings))

            with InThread(gateway) as running:
                warm(running.url, folder / "pictures", given.workers)
                calls = asked["calls"]
                ask_again(running.url, folder / "pictures", prices, given.workers, given.seed)
                print(f"calls of the model: {calls} while warming, {asked['calls'] - calls} afterwards")


def drawn(folder: Path, pictures: int, seed: int) -> dict[str, str]:
    """Cards with as many prices, by file name."""
    folder.mkdir()
    chance = random.Random(seed)
    prices = {}
    for number, price in enumerate(chance.sample(range(10_000), pictures)):
        text = f"{price // 100:02}.{price % 100:02}"
        body = tuple(chance.randrange(40, 220) for _ in range(3))
        card = cards.draw(text, body=(body[0], body[1], body[2]), seed=number % 7)
        name = f"{number:04}.png"
        (folder / name).write_bytes(_saved(card.resize(SIZE, Image.Resampling.LANCZOS), "PNG"))
        prices[name] = text
    return prices


def warm(url: str, folder: Path, workers: int) -> None:
    command = [sys.executable, "-m", "gateway", "warm", str(folder), "--prompt", PROMPT, "--model", MODEL]
    journal = str(folder.parent / "warm.journal")  # a run that was broken off must not be found again
    flags = ["--gateway", url, "--concurrency", str(workers), "--embedder", "dct", "--journal", journal]
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    begun = time.monotonic()
    said = subprocess.run([*command, *flags], capture_output=True, text=True, check=False, env=environment)
    print(said.stdout[-1500:], said.stderr[-500:] if said.returncode else "", sep="")
    print(f"lookalike warm: exit status {said.returncode}, {time.monotonic() - begun:.0f} s with {workers} workers")
    if said.returncode:
        raise SystemExit("the cache is not warm, so there is nothing to measure")


def ask_again(url: str, folder: Path, prices: dict[str, str], workers: int, seed: int) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=120)
    chance = random.Random(seed + 1)
    ways = {name: chance.choice(list(_WAYS)) for name in prices}

    def one(name: str) -> tuple[str, str, bool]:
        file = _WAYS[ways[name]](Image.open(folder / name))
        picture = {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file).decode()}"},
        }
        content = [picture, {"type": "text", "text": PROMPT}]
        asking = client.chat.completions.with_raw_response
        reply = asking.create(model=MODEL, messages=[{"role": "user", "content": content}])  # type: ignore[list-item]
        status = reply.headers["cache-status"]
        right = reply.parse().choices[0].message.content == f"It says {prices[name]}."
        return ways[name], "hit" if "; hit" in status else status.rpartition("detail=")[2], right

    begun = time.monotonic()
    with ThreadPoolExecutor(workers) as crowd:
        told = list(crowd.map(one, prices))
    print(f"asked again: {len(told)} pictures in {time.monotonic() - begun:.0f} s")
    for way in _WAYS:
        these = [(status, right) for each, status, right in told if each == way]
        hits = sum(status == "hit" for status, _ in these)
        wrong = sum(not right for _, right in these)
        print(f"  {way:14} {len(these):5} asked, {hits / len(these):.3f} hits, {wrong} wrong answers")
    hits, wrong = sum(status == "hit" for _, status, _ in told), sum(not right for _, _, right in told)
    print(f"  {'all':14} {len(told):5} asked, {hits / len(told):.3f} hits, {wrong} wrong answers")
    print("  no hit:", dict(Counter(status for _, status, _ in told if status != "hit").most_common()))


def _counting(app: ASGIApp, asked: Counter[str]) -> ASGIApp:
    async def counted(scope, receive, send):  # type: ignore[no-untyped-def]
        asked["calls"] += scope["type"] == "http" and scope["method"] == "POST"
        await app(scope, receive, send)

    return counted


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


if __name__ == "__main__":
    main()

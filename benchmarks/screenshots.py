"""A day of drawn traffic through a real gateway, and the pictures of the dashboard in docs/dashboard/.

    .venv/bin/python -m benchmarks.screenshots [--keep]

A stand-in takes about a second for each answer; the gateway's clock is turned forward between requests, so that the
day takes two minutes. Seeded. `--keep` leaves the gateway up to be looked at, until Ctrl-C.
"""

import argparse
import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.drawn import drawn_pair
from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.make import open_store
from gateway.server import InThread
from tests.browser.conftest import chromium
from tests.fakes.pictures import data_url
from tests.fakes.upstream import FakeUpstream

SEED: Final = 7
OUT: Final = Path(__file__).parent.parent / "docs" / "dashboard"
DAY_S: Final = 86_400.0
REQUESTS: Final = 320
AT_ONCE: Final = 2
PROMPTS: Final = ("What is the total?", "Read the label.", "图中写了什么？")
PRICE: Final = {"input_per_million": 0.5, "output_per_million": 2.0, "currency": "CNY"}
EMBEDDING_PRICE: Final = {"per_hour": 0.4, "currency": "CNY"}


@dataclass
class Day:
    """The gateway's clock: Unix time, turned forward by hand until it meets the real one."""

    now_s: float = field(default_factory=lambda: time.time() - DAY_S)

    def __call__(self) -> float:
        return self.now_s


class Slow:
    """The fake upstream, as slow as a model."""

    def __init__(self, fake: FakeUpstream) -> None:
        self._fake = fake
        self._chance = random.Random(SEED)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await anyio.sleep(self._chance.uniform(0.5, 1.6))
        await self._fake(scope, receive, send)


@contextlib.contextmanager
def _serving(made: Callable[[], Any]) -> Iterator[str]:
    async def app() -> Any:
        return made()

    with InThread(app) as server:
        yield server.url


@contextlib.contextmanager
def the_day() -> Iterator[tuple[str, Any]]:
    """A gateway that has had its day: its base URL and application."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(_serving(lambda: Slow(FakeUpstream())))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prices = {"prices": {"*": PRICE}, "embedding_price": EMBEDDING_PRICE}
        settings = Settings(upstream=upstream, cache_dir=folder, embedder="dct", dashboard_prompts=True, **prices)
        clock, apps = Day(), []
        gateway = stack.enter_context(
            _serving(lambda: apps.append(create_app(settings, open_store(settings, clock), clock)) or apps[0])
        )
        while httpx.get(f"{gateway}/cache/health").json()["embedder"]["state"] == "loading":
            time.sleep(0.05)
        _traffic(gateway, clock)
        _drawn(apps[0])
        _last(gateway)
        _drawn(apps[0])
        yield gateway, apps[0]


def _traffic(gateway: str, clock: Day) -> None:
    """Pictures that come back more and more often as the day goes on, often as a copy, now and then with an edit."""
    chance, seen, begun_s = random.Random(SEED), list[tuple[Image.Image, str]](), clock.now_s
    pairs = [drawn_pair(seed) for seed in range(60)]
    step_s = DAY_S / REQUESTS
    gate = threading.Semaphore(2 * AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        for number in range(REQUESTS):
            clock.now_s = begun_s + number * step_s
            share = 0.15 + 0.65 * number / REQUESTS
            if not seen or chance.random() > share:
                pair = pairs[chance.randrange(len(pairs))]
                seen.append((pair.before if chance.random() < 0.8 else pair.after, chance.choice(PROMPTS)))
                picture, prompt = seen[-1]
            else:
                picture, prompt = chance.choice(seen[-12:])
            gate.acquire()
            crowd.submit(_ask, gateway, _sent(picture, chance), prompt).add_done_callback(lambda _: gate.release())
    clock.now_s = begun_s + DAY_S


def _last(gateway: str) -> None:
    """A near hit and two near misses that everyone understands."""
    card = cards.draw("48.20")
    for picture in (card, card, card.resize((600, 450)), cards.draw("48.26"), cards.draw("48.20", body=(60, 120, 90))):
        _ask(gateway, _file(picture, "JPEG" if picture.width < 700 else "PNG"), "What is the price on the label?")


def _drawn(app: Any) -> None:
    while not app.state.running.sightings.resting:
        time.sleep(0.1)


def _sent(picture: Image.Image, chance: random.Random) -> bytes:
    return _file(picture, "PNG") if chance.random() < 0.6 else _file(picture, "JPEG", quality=85)


def _file(picture: Image.Image, form: str, **options: Any) -> bytes:
    data = BytesIO()
    picture.convert("RGB").save(data, form, **options)
    return data.getvalue()


def _ask(gateway: str, file: bytes, prompt: str) -> None:
    parts = [{"type": "image_url", "image_url": {"url": data_url(file)}}, {"type": "text", "text": prompt}]
    body = {"model": "qwen3-vl-8b-instruct", "messages": [{"role": "user", "content": parts}]}
    httpx.post(f"{gateway}/v1/chat/completions", json=body, timeout=60).raise_for_status()


def _take(browser: Browser, gateway: str) -> None:
    OUT.mkdir(exist_ok=True)
    overview, hits = f"{gateway}/cache/dashboard", f"{gateway}/cache/dashboard/hits"
    shots: list[tuple[str, str, dict[str, Any], str]] = [
        ("overview-light", overview, {"color_scheme": "light"}, "main"),
        ("overview-dark-zh", overview, {"color_scheme": "dark", "locale": "zh-CN"}, "main"),
        ("overview-phone", overview, {"viewport": {"width": 390, "height": 844}}, "window"),
        ("near-miss-dark", f"{hits}?sight=near-miss", {"color_scheme": "dark"}, "article"),
        ("near-hit-light", hits, {"color_scheme": "light"}, "article"),
    ]
    for name, address, options, what in shots:
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1200, "height": 1000}} | options)
        page = context.new_page()
        page.goto(address)
        page.wait_for_load_state("networkidle")
        file = OUT / f"{name}.png"
        match what:
            case "article":
                article = page.locator("article:has(figure.heat)").first
                article.scroll_into_view_if_needed()
                page.wait_for_function("() => [...document.images].slice(0, 4).every((one) => one.complete)")
                article.screenshot(path=file)
            case "window":
                page.screenshot(path=file)
            case _:
                page.screenshot(path=file, full_page=True)
        context.close()
        with Image.open(file) as taken:
            taken.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
        print(f"{file}: {file.stat().st_size // 1000} KB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the gateway up")
    given = options.parse_args()
    with the_day() as (gateway, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=["--no-sandbox"])
        _take(browser, gateway)
        browser.close()
        print(f"{gateway}/cache/dashboard", flush=True)
        if given.keep:
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()


if __name__ == "__main__":
    main()

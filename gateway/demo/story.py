"""The story that `lookalike demo` tells: pictures sent through a real gateway, and what became of each."""

import base64
import functools
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, PngImagePlugin
from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp

from gateway.app import create_app
from gateway.config import Settings
from gateway.demo import cards
from gateway.demo.standin import MODEL, create_standin
from gateway.make import open_store, wall_clock
from gateway.price import Price
from gateway.server import InThread

_DELAY_S = 0.8
_QUESTION = "What is the price on the card?"
# An example, so that the demo can show money; not any provider's price.
_PRICE = Price(input_per_million=0.2, output_per_million=0.8, per_upstream_hour=None, currency="USD")
_EMBEDDER_WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One request of the story, and what a right answer to it says."""

    title: str
    picture: bytes
    price: str
    question: str = _QUESTION
    may_hit: bool = True  # the picture is one that was asked about before, with this question


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scene."""

    title: str
    cache: str
    similarity: str
    answer: str
    right: bool
    ms: float


def scenes() -> list[Scene]:
    card = cards.draw("48.20")
    png, repacked = _png(card), _png(card, compress_level=1, note="saved again by another program")
    smaller = card.resize((600, 450), Image.Resampling.LANCZOS)
    digit, blue = cards.draw("48.26"), cards.draw("48.20", (70, 110, 170))
    return [
        Scene("new picture", png, "48.20"),
        Scene("same file", png, "48.20"),
        Scene("same pixels, new file", repacked, "48.20"),
        Scene("re-encoded, JPEG 85", _jpeg(card, 85), "48.20"),
        Scene("resized to 75 %, JPEG", _jpeg(smaller, 88), "48.20"),
        Scene("other: one digit", _png(digit), "48.26", may_hit=False),
        Scene("other: colour of vase", _png(blue), "48.20", may_hit=False),
        Scene("first, new question", png, "48.20", "How much does the vase cost?", may_hit=False),
    ]


def tell(embedder: str, keep: bool, as_json: bool, out: Console, err: Console) -> int:
    """Run the story. The exit status: 0 if every answer was right."""
    logging.getLogger().setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="lookalike-demo-") as folder, _stage(embedder, Path(folder)) as url:
        if not as_json:
            out.print(
                f"A stand-in upstream (no model: it reads the demo's own cards, after {_DELAY_S} s) and a gateway\n"
                f"are running on this machine. Every answer below came through the gateway at {url}\n",
                highlight=False,
            )
        embedded = _when_ready(url, out, as_json)
        with httpx.Client(base_url=url, timeout=60) as client:
            client.get("/cache/health")  # so that no scene pays for the connection
            outcomes = [_play(scene, client) for scene in scenes()]
            stats = client.get("/cache/stats").json()
        if as_json:
            out.print_json(json.dumps({"outcomes": [asdict(outcome) for outcome in outcomes], "stats": stats}))
        else:
            _show(outcomes, stats, embedded, url, out)
        if keep:
            _stay(url, out)
    return 0 if all(outcome.right for outcome in outcomes) else 1


@contextmanager
def _stage(embedder: str, folder: Path) -> Iterator[str]:
    async def standin() -> ASGIApp:
        return create_standin(_DELAY_S, wall_clock)

    with InThread(standin) as upstream:
        settings = Settings(
            upstream=upstream.url,
            cache_dir=folder,
            embedder=embedder,
            prices={"*": _PRICE},
        )

        async def gateway() -> ASGIApp:
            return create_app(settings, open_store(settings))

        with InThread(gateway) as running:
            yield running.url


def _when_ready(url: str, out: Console, quiet: bool) -> dict[str, Any]:
    """The embedder's state once it is known. A first run of CLIP downloads its weights."""
    until = time.monotonic() + _EMBEDDER_WAIT_S
    with out.status("loading the embedder") if not quiet else _silence():
        while True:
            state: dict[str, Any] = httpx.get(f"{url}/cache/health").json()["embedder"]
            if state["state"] != "loading" or time.monotonic() > until:
                return state
            time.sleep(0.05)


@contextmanager
def _silence() -> Iterator[None]:
    yield


def _play(scene: Scene, client: httpx.Client) -> Outcome:
    encoded = base64.b64encode(scene.picture).decode()
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/*;base64,{encoded}"}},
        {"type": "text", "text": scene.question},
    ]
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], "temperature": 0}
    begun = time.perf_counter()
    response = client.post("/v1/chat/completions", json=body).raise_for_status()
    ms = (time.perf_counter() - begun) * 1000
    answer = response.json()["choices"][0]["message"]["content"]
    cache = response.headers["cache-status"].removeprefix("lookalike; ")
    similarity = response.headers.get("x-lookalike-similarity", "")
    right = scene.price in answer and (scene.may_hit or not cache.startswith("hit"))
    return Outcome(scene.title, cache, similarity, answer, right, ms)


def _show(outcomes: list[Outcome], stats: dict[str, Any], embedded: dict[str, Any], url: str, out: Console) -> None:
    table = Table(title=f"{_QUESTION} (embedder: {embedded.get('space', embedded['state'])})")
    table.add_column("picture")
    table.add_column("outcome", no_wrap=True)
    table.add_column("cosine", justify="right", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            outcome.title,
            _in_colour(outcome.cache),
            outcome.similarity,
            outcome.answer,
            "[green]yes[/]" if outcome.right else "[red]NO[/]",
            f"{outcome.ms:.0f}",
        )
    out.print(table)
    saved = stats["saved"]
    money = ", ".join(f"{value:.6f} {currency}" for currency, value in saved["money"].items())
    out.print(
        f"Saved: {saved['calls']} of {stats['asked_of_cache']} calls, {saved['upstream_seconds']:.1f} s of upstream "
        f"time, {saved['tokens_in'] + saved['tokens_out']} tokens, {money} (at an example price).",
        highlight=False,
    )
    if note := embedded.get("fallback"):
        out.print(f"[yellow]CLIP is not in use:[/] {note}", highlight=False)
    out.print(f"Dashboard: {url}/cache/dashboard (with --keep, the demo stays up for you to look)", highlight=False)


def _in_colour(cache_status: str) -> str:
    """`hit; ttl=…; detail=near` as `hit: near`."""
    detail = cache_status.rpartition("detail=")[2]
    return f"[green]hit: {detail}[/]" if cache_status.startswith("hit") else f"miss: {detail}"


def _stay(url: str, out: Console) -> None:
    out.print(f"Still serving at {url}/v1 (model {MODEL}). Ctrl-C ends it.", highlight=False)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def _png(image: Image.Image, compress_level: int = 6, note: str | None = None) -> bytes:
    info = PngImagePlugin.PngInfo()
    if note:
        info.add_text("Comment", note)
    return _saved(functools.partial(image.save, format="PNG", compress_level=compress_level, pnginfo=info))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    return _saved(functools.partial(image.save, format="JPEG", quality=quality))


def _saved(save: Any) -> bytes:
    file = BytesIO()
    save(file)
    return file.getvalue()

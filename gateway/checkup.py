"""`lookalike check`: a configuration and a store examined, and what is wrong told in words."""

import asyncio

import httpx
from rich.console import Console

from cache.errors import CacheFault, StoreBusy
from embeddings.base import EmbedderUnavailable
from gateway.app import load_embedder, open_store
from gateway.config import Settings


def examine(settings: Settings, out: Console) -> int:
    """The exit status: 0 if the gateway would start and serve, 1 otherwise. A finding never hides the next."""
    out.print("settings   ok", highlight=False)
    findings = [_store(settings, out), _embedder(settings, out), _upstream(settings, out)]
    return 0 if all(findings) else 1


def _store(settings: Settings, out: Console) -> bool:
    if settings.store == "memory":
        return _say(out, "store", True, "in memory: answers are forgotten when the gateway stops")
    if not settings.cache_dir.exists():
        return _say(out, "store", True, f"{settings.cache_dir} does not exist yet; the gateway will make it")
    try:
        faults, entries = asyncio.run(_faults(settings))
    except StoreBusy as error:
        return _say(out, "store", True, f"in use, so not examined: {error}")
    except CacheFault as error:
        return _say(out, "store", False, str(error))
    for fault in faults:
        _say(out, "store", False, fault)
    sound = f"{settings.cache_dir}: {entries} entries, every row and vector agrees"
    return not faults and _say(out, "store", True, sound)


async def _faults(settings: Settings) -> tuple[list[str], int]:
    store = open_store(settings)
    try:
        return await store.check(), store.size().entries
    finally:
        await store.close()


def _embedder(settings: Settings, out: Console) -> bool:
    try:
        loaded = load_embedder(settings)
    except EmbedderUnavailable as error:
        return _say(out, "embedder", False, str(error))
    name = loaded.embedder.space.name
    if loaded.note:
        out.print(f"embedder   [yellow]{name}[/]  {loaded.note}", highlight=False)
        return True
    threshold = settings.threshold or loaded.embedder.threshold
    return _say(out, "embedder", True, f"{name}, near hits from cosine {threshold}")


def _upstream(settings: Settings, out: Console) -> bool:
    """Whether anything answers there at all: what it answers is its own business."""
    try:
        status = httpx.get(settings.upstream, timeout=settings.connect_timeout_s).status_code
    except httpx.HTTPError as error:
        return _say(out, "upstream", False, f"{settings.upstream} cannot be reached: {error or type(error).__name__}")
    return _say(out, "upstream", True, f"{settings.upstream} answers (HTTP {status})")


def _say(out: Console, part: str, fine: bool, text: str) -> bool:
    colour, word = ("green", "ok") if fine else ("red", "WRONG")
    out.print(f"{part:<10} [{colour}]{word}[/]  {text}", highlight=False)
    return fine

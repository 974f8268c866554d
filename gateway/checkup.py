"""`lookalike check`: a configuration and a store examined, and what is wrong told in words."""

import asyncio

import httpx
from rich.console import Console

from cache.errors import CacheFault, StoreBusy
from cache.stores.directory import shows_nothing
from embeddings.base import EmbedderUnavailable
from gateway.admin.health import STRICT_LIMITS
from gateway.admin.policy import policy
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.make import load_embedder, open_store


def examine(settings: Settings, out: Console) -> int:
    """The exit status: 0 if the gateway would start and serve, 1 otherwise. A finding never hides the next."""
    out.print("settings   ok", highlight=False)
    _questions(settings, out)
    _privacy(settings, out)
    _fetching(settings, out)
    _telling(settings, out)
    findings = [_admin(settings, out), _store(settings, out), _embedder(settings, out), _upstream(settings, out)]
    return 0 if all(findings) else 1


def _questions(settings: Settings, out: Console) -> None:
    """What each kind of question demands beyond what is demanded of all."""
    for kind in settings.questions:
        mode = settings.mode.stricter(kind.mode)
        demanded = [f"mode {mode}", f"guard limit {settings.limit(kind.guard)}"]
        demanded += [f"threshold {kind.threshold} or the embedder's, if higher"] if kind.threshold else []
        _say(out, "questions", True, f"{kind.name}: {', '.join(demanded)}")


def _privacy(settings: Settings, out: Console) -> None:
    if settings.privacy == "strict":
        _say(out, "privacy", True, f"strict: {STRICT_LIMITS}")


def _fetching(settings: Settings, out: Console) -> None:
    """Whom the gateway may be made to connect to."""
    if (allowed := settings.fetch_pictures) == "off":
        return
    hosts = "any public host" if allowed == "public" else ", ".join(allowed) or "no public host"
    private = f"; private: {', '.join(settings.fetch_private_hosts)}" if settings.fetch_private_hosts else ""
    sent = "inline" if settings.fetched_pictures == "inline" else "as its URL"
    _say(out, "fetching", True, f"pictures of {hosts}{private}; the upstream gets each {sent}")


def _telling(settings: Settings, out: Console) -> None:
    """Who gets answers, and who is asked about them. The whole URL is not shown: it may hold a token."""
    for webhook in settings.webhooks:
        what = "answers and prompts" if webhook.prompt else "answers, no prompts"
        _say(out, "webhooks", True, f"{webhook.name}: {what} to {httpx.URL(webhook.url).host}")
    for one in settings.classifiers:
        where = httpx.URL(one.base_url or settings.upstream).host
        _say(out, "labels", True, f"{one.name}: {one.model} at {where}: {', '.join(one.labels)}")


def _admin(settings: Settings, out: Console) -> bool:
    try:
        rules = policy(settings)
    except ConfigError as error:
        return _say(out, "admin", False, str(error))
    needed = "needs the admin token" if rules.token else "needs no token"
    return _say(out, "admin", True, "/cache/ is off, but for liveness" if rules.off else f"/cache/ {needed}")


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
    if settings.privacy == "strict" and not shows_nothing(settings.cache_dir):
        words = "holds vectors and evidence of pictures; the gateway erases them when it starts under strict privacy"
        out.print(f"store      [yellow]note[/]  {settings.cache_dir} {words}", highlight=False)
    sound = f"{settings.cache_dir}: {entries} entries, every row and vector agrees"
    return not faults and _say(out, "store", True, sound)


async def _faults(settings: Settings) -> tuple[list[str], int]:
    # As what it is, not as what it is to become: an examination erases nothing.
    privacy = "strict" if shows_nothing(settings.cache_dir) else "standard"
    store = open_store(settings.model_copy(update={"privacy": privacy}))
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
    for words in filter(None, (loaded.note, loaded.caution)):
        out.print(f"embedder   [yellow]{name}[/]  {words}", highlight=False)
    return _say(out, "embedder", True, f"{name}, near hits from cosine {loaded.embedder.threshold}")


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

"""The composition root: settings to objects, routes, start and stop. Nothing is decided here."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.routing import Mount

from cache.stores.base import Clock, Store
from cache.stores.embedded import EmbeddedStore
from cache.stores.memory import MemoryStore
from cache.stores.private import PrivateStore
from embeddings.base import Loaded
from embeddings.batching import EmbeddingService
from embeddings.clip import ClipOptions
from embeddings.registry import load
from gateway import admin
from gateway.account import Account
from gateway.config import Settings
from gateway.fingerprint import Workers
from gateway.forward import Upstream
from gateway.plan import Planner
from gateway.question import Mode
from gateway.receive import Gateway
from gateway.shadowlog import SHADOW_FILE, ShadowLog
from gateway.sightings import Sightings
from gateway.sightings.album import ALBUM_FILE, Album
from gateway.watch import Watch

log = logging.getLogger("lookalike")

ACCOUNT_FILE = "statistics.json"
_ACCOUNT_EVERY_S = 5.0

wall_clock: Clock = time.time  # noqa: TID251 - the one place where clocks come from


@dataclass(slots=True)
class Running:
    """The parts of a gateway that is up, for the endpoints under /cache/."""

    settings: Settings
    store: Store
    account: Account
    shadow_log: ShadowLog
    sightings: Sightings
    embedding: EmbeddingService
    clock: Clock
    monotonic: Clock
    started_s: float
    version: str


def create_app(
    settings: Settings, store: Store, clock: Clock = wall_clock, monotonic: Clock = time.perf_counter
) -> Starlette:
    """The gateway as an ASGI application over an open store, which its lifespan closes in the end. The embedder
    is loaded in the background, so that requests are served at once."""
    file = settings.cache_dir / ACCOUNT_FILE if settings.store == "embedded" else None
    account = Account(settings.price, monotonic, file)
    embedding = EmbeddingService(lambda: load_embedder(settings))
    upstream = Upstream(settings, monotonic)
    workers = Workers(settings.workers)
    shadow_log = ShadowLog(shadow_file(settings), settings.shadow_log_bytes_max)
    watch = Watch(store, workers, shadow_log, settings.price, clock) if settings.mode is Mode.SHADOW else None
    planner = Planner(settings, store, embedding, workers, clock, monotonic, watch)
    album = Album(settings.cache_dir / ALBUM_FILE if settings.store == "embedded" else None)
    sightings = Sightings(album, store, settings.keeps_thumbnails, clock, monotonic)
    gateway = Gateway(settings, upstream, planner, account, sightings, store.secret(), clock, monotonic)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:  # each is closed, whatever another does
            closing.push_async_callback(store.close)
            closing.push_async_callback(upstream.close)
            closing.push_async_callback(embedding.close)
            closing.callback(account.write)
            closing.callback(shadow_log.close)
            closing.callback(sightings.close)
            embedding.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write, account, sightings)
                tasks.start_soon(sightings.run)
                yield
                tasks.cancel_scope.cancel()

    app = Starlette(routes=[Mount("/cache", routes=admin.routes())], lifespan=lifespan)
    app.router.default = gateway  # whatever is not ours is the upstream's, on any path and by any method
    app.state.running = Running(
        settings, store, account, shadow_log, sightings, embedding, clock, monotonic, monotonic(), product_version()
    )
    return app


def open_store(settings: Settings, clock: Clock = wall_clock) -> Store:
    match settings.store:
        case "memory":
            return MemoryStore(clock, settings.cache_bytes_max)
        case "embedded" if settings.privacy == "strict":
            limits = settings.cache_bytes_max, settings.privacy_memory_bytes
            return PrivateStore.open(settings.cache_dir, clock, *limits)
        case "embedded":
            return EmbeddedStore.open(settings.cache_dir, clock, settings.cache_bytes_max)


def shadow_file(settings: Settings) -> Path | None:
    """Where the shadow log is; None: a store in memory leaves nothing behind."""
    return settings.cache_dir / SHADOW_FILE if settings.store == "embedded" else None


def load_embedder(settings: Settings) -> Loaded:
    """Blocking, and slow for CLIP. Raises EmbedderUnavailable."""
    options = ClipOptions(settings.clip_model, settings.clip_pretrained, settings.clip_device)
    return load(settings.embedder, options, settings.threshold)


def product_version() -> str:
    try:
        return version("lookalike")
    except PackageNotFoundError:
        return "not installed"


async def _write(account: Account, sightings: Sightings) -> None:
    while True:
        await anyio.sleep(_ACCOUNT_EVERY_S)
        try:
            await anyio.to_thread.run_sync(account.write)
            await anyio.to_thread.run_sync(sightings.write)
        except OSError as error:
            log.warning("the statistics could not be written: %s", error)

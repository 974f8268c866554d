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

from cache.stores.base import Clock, Size, Store
from cache.stores.embedded import EmbeddedStore
from cache.stores.memory import MemoryStore
from cache.stores.private import PrivateStore
from embeddings.base import Loaded
from embeddings.batching import EmbeddingService, Ready
from embeddings.clip import ClipOptions
from embeddings.registry import load
from gateway import admin, disk
from gateway.account import Account, Prices
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.fingerprint import Workers
from gateway.forward import Upstream
from gateway.ledger import LEDGER_FILE, Ledger
from gateway.metrics import Metrics, State
from gateway.plan import Planner
from gateway.question import Mode
from gateway.receive import Gateway
from gateway.shadowlog import SHADOW_FILE, ShadowLog
from gateway.tracing import Tracing
from gateway.watch import Watch

log = logging.getLogger("lookalike")

_LEDGER_EVERY_S = 5.0

wall_clock: Clock = time.time  # noqa: TID251 - the one place where clocks come from


@dataclass(slots=True)
class Running:
    """The parts of a gateway that is up, for the endpoints under /cache/."""

    settings: Settings
    store: Store
    account: Account
    ledger: Ledger
    metrics: Metrics
    shadow_log: ShadowLog
    embedding: EmbeddingService
    monotonic: Clock
    started_s: float
    version: str


def create_app(
    settings: Settings,
    store: Store,
    clock: Clock = wall_clock,
    monotonic: Clock = time.perf_counter,
    tracing: Tracing | None = None,
) -> Starlette:
    """The gateway as an ASGI application over an open store, which its lifespan closes in the end. The embedder
    is loaded in the background, so that requests are served at once. Without `tracing`, the settings say whether
    there is any."""
    ledger, metrics = Ledger(ledger_file(settings), clock), Metrics()
    prices = Prices(settings.price, settings.embedding_price)
    account = Account(prices, clock, monotonic, (ledger.count, metrics.count))
    embedding = EmbeddingService(lambda: load_embedder(settings), monotonic=monotonic)
    metrics.watch(_state(settings, store, embedding))
    tracing = make_tracing(settings, clock, monotonic) if tracing is None else tracing
    upstream = Upstream(settings, monotonic)
    workers = Workers(settings.workers)
    shadow_log = ShadowLog(shadow_file(settings), settings.shadow_log_bytes_max)
    watch = Watch(store, workers, shadow_log, settings.price, clock) if settings.mode is Mode.SHADOW else None
    planner = Planner(settings, store, embedding, workers, clock, monotonic, watch)
    gateway = Gateway(settings, upstream, planner, account, store.secret(), clock, monotonic, tracing)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:  # each is closed, whatever another does
            closing.push_async_callback(store.close)
            closing.push_async_callback(upstream.close)
            closing.push_async_callback(embedding.close)
            closing.callback(ledger.close)
            closing.callback(shadow_log.close)
            if tracing is not None:
                closing.push_async_callback(anyio.to_thread.run_sync, tracing.close)
            embedding.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write_ledger, ledger, store)
                yield
                tasks.cancel_scope.cancel()

    app = Starlette(routes=[Mount("/cache", routes=admin.routes())], lifespan=lifespan)
    app.router.default = gateway  # whatever is not ours is the upstream's, on any path and by any method
    app.state.running = Running(
        settings, store, account, ledger, metrics, shadow_log, embedding, monotonic, monotonic(), product_version()
    )
    return app


def _state(settings: Settings, store: Store, embedding: EmbeddingService) -> State:
    def near() -> bool:
        return isinstance(embedding.state, Ready)

    def free() -> int | None:
        return disk.free_bytes(settings.cache_dir) if settings.store == "embedded" else None

    return State(product_version(), settings.mode, store.size, near, free)


def open_store(settings: Settings, clock: Clock = wall_clock) -> Store:
    match settings.store:
        case "memory":
            return MemoryStore(clock, settings.cache_bytes_max)
        case "embedded" if settings.privacy == "strict":
            limits = settings.cache_bytes_max, settings.privacy_memory_bytes
            return PrivateStore.open(settings.cache_dir, clock, *limits)
        case "embedded":
            return EmbeddedStore.open(settings.cache_dir, clock, settings.cache_bytes_max)


def ledger_file(settings: Settings) -> Path | None:
    """Where the statistics are; None: a store in memory leaves nothing behind."""
    return settings.cache_dir / LEDGER_FILE if settings.store == "embedded" else None


def make_tracing(settings: Settings, clock: Clock, monotonic: Clock) -> Tracing | None:
    """None where no traces are wanted; then nothing of it is imported. Raises ConfigError."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from gateway.telemetry import Telemetry, to_collector
    except ImportError as error:
        raise ConfigError(f"otlp_endpoint needs the extra: pip install 'lookalike[otel]' ({error})") from error
    return Telemetry(to_collector(settings.otlp_endpoint), product_version(), clock, monotonic)


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


async def _write_ledger(ledger: Ledger, store: Store) -> None:
    """What waits, every few seconds; and what the store let go meanwhile."""
    before = store.size()
    try:
        while True:
            await anyio.sleep(_LEDGER_EVERY_S)
            try:
                await anyio.to_thread.run_sync(ledger.write)
            except Exception:  # counting must not take the gateway down
                log.exception("the statistics could not be written")
            before = _noted(ledger, before, store.size())
    finally:
        _noted(ledger, before, store.size())


def _noted(ledger: Ledger, before: Size, now: Size) -> Size:
    ledger.let_go(now.evicted - before.evicted, now.expired - before.expired)
    return now

"""The composition root: settings to objects, routes, start and stop. Nothing is decided here."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
from starlette.applications import Starlette

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
from gateway.admin.access import Access
from gateway.admin.audit import AUDIT_FILE, Audit
from gateway.admin.policy import policy
from gateway.config import Settings
from gateway.fetch.fetcher import Fetcher, direct
from gateway.fetch.resolver import Resolve, SystemResolver
from gateway.fingerprint import Workers
from gateway.forward import Upstream
from gateway.gather import Gatherer
from gateway.hits import Hits
from gateway.judgements import JUDGEMENTS_FILE, Judgements
from gateway.plan import Planner
from gateway.question import Mode
from gateway.receive import Gateway
from gateway.shadowlog import SHADOW_FILE, ShadowLog
from gateway.watch import Watch

log = logging.getLogger("lookalike")

ACCOUNT_FILE = "statistics.json"
_ACCOUNT_EVERY_S = 5.0

wall_clock: Clock = time.time  # noqa: TID251 - the one place where clocks come from


# Told of the ids of entries that were erased, and of the marks (cache/marks.py) of the pictures that were forgotten.
Keeper = Callable[[frozenset[str], frozenset[str]], None]


@dataclass(slots=True)
class Running:
    """The parts of a gateway that is up, for the endpoints under /cache/."""

    settings: Settings
    store: Store
    account: Account
    shadow_log: ShadowLog
    embedding: EmbeddingService
    monotonic: Clock
    started_s: float
    version: str
    clock: Clock
    workers: Workers
    access: Access
    audit: Audit
    hits: Hits
    judgements: Judgements
    keepers: list[Keeper] = field(default_factory=list)  # whoever else holds something of an entry, such as a thumbnail

    async def erase(self, ids: Collection[str], marks: frozenset[str] = frozenset()) -> list[str]:
        """Erase entries, and what others keep of them. The ids that were there."""
        for forget in self.keepers:
            forget(frozenset(ids), marks)
        return await self.store.erase(ids)


def create_app(
    settings: Settings,
    store: Store,
    clock: Clock = wall_clock,
    monotonic: Clock = time.perf_counter,
    resolve: Resolve | None = None,
) -> Starlette:
    """The gateway as an ASGI application over an open store, which its lifespan closes in the end. The embedder
    is loaded in the background, so that requests are served at once. `resolve` looks up the hosts of pictures. Raises
    ConfigError where the settings leave open who may use /cache/."""
    access = Access(policy(settings), store.secret(), clock)
    account = Account(settings.price, monotonic, _file(settings, ACCOUNT_FILE))
    judgements, audit = Judgements(_file(settings, JUDGEMENTS_FILE)), Audit(_file(settings, AUDIT_FILE), clock)
    embedding = EmbeddingService(lambda: load_embedder(settings))
    upstream = Upstream(settings, monotonic)
    workers = Workers(settings.workers)
    shadow_log = ShadowLog(shadow_file(settings), settings.shadow_log_bytes_max)
    watch = Watch(store, workers, shadow_log, settings.price, clock) if settings.mode is Mode.SHADOW else None
    fetcher = _fetcher(settings, resolve or SystemResolver())
    gatherer = Gatherer(settings, workers, fetcher)
    planner = Planner(settings, store, embedding, workers, gatherer, clock, monotonic, watch)
    gateway = Gateway(settings, upstream, planner, account, store.secret(), clock, monotonic)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:  # each is closed, whatever another does
            closing.push_async_callback(store.close)
            closing.push_async_callback(upstream.close)
            if fetcher is not None:
                closing.push_async_callback(fetcher.close)
            closing.push_async_callback(embedding.close)
            closing.callback(account.write)
            closing.callback(shadow_log.close)
            embedding.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_write_account, account)
                yield
                tasks.cancel_scope.cancel()

    app = Starlette(routes=[admin.mount(access)], lifespan=lifespan)
    app.router.default = gateway  # whatever is not ours is the upstream's, on any path and by any method
    app.state.running = Running(
        settings=settings,
        store=store,
        account=account,
        shadow_log=shadow_log,
        embedding=embedding,
        monotonic=monotonic,
        started_s=monotonic(),
        version=product_version(),
        clock=clock,
        workers=workers,
        access=access,
        audit=audit,
        hits=planner.hits,
        judgements=judgements,
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


def _fetcher(settings: Settings, resolve: Resolve) -> Fetcher | None:
    if (rules := settings.fetching()) is None:
        return None
    trusted = httpx.create_ssl_context(trust_env=True)
    limits = settings.fetch_timeout_s, settings.fetch_bytes_max, settings.fetches_max
    return Fetcher(rules, resolve, direct(trusted), *limits)


def shadow_file(settings: Settings) -> Path | None:
    """Where the shadow log is."""
    return _file(settings, SHADOW_FILE)


def _file(settings: Settings, name: str) -> Path | None:
    """A file beside the store; None: a store in memory leaves nothing behind."""
    return settings.cache_dir / name if settings.store == "embedded" else None


def load_embedder(settings: Settings) -> Loaded:
    """Blocking, and slow for CLIP. Raises EmbedderUnavailable."""
    options = ClipOptions(settings.clip_model, settings.clip_pretrained, settings.clip_device)
    return load(settings.embedder, options, settings.threshold)


def product_version() -> str:
    try:
        return version("lookalike")
    except PackageNotFoundError:
        return "not installed"


async def _write_account(account: Account) -> None:
    while True:
        await anyio.sleep(_ACCOUNT_EVERY_S)
        try:
            await anyio.to_thread.run_sync(account.write)
        except OSError as error:
            log.warning("the statistics could not be written: %s", error)

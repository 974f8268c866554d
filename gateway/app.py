"""The composition root: settings to objects, routes, start and stop. Nothing is decided here."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from starlette.applications import Starlette

from cache.errors import StoreFault
from cache.flight import Flights
from cache.stores.base import Clock, Size, Store
from embeddings.batching import EmbeddingService, Ready
from gateway import admin, disk
from gateway.acceptance import ACCEPTED_FILE, Acceptances
from gateway.account import Account
from gateway.acting import Actors
from gateway.admin.access import Access
from gateway.admin.audit import AUDIT_FILE, Audit
from gateway.admin.policy import policy
from gateway.admission import Admission
from gateway.batches.desk import FOLDER, Desk
from gateway.batches.endpoints import Endpoints
from gateway.batchlimits import limits_of
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.epochfile import EPOCHS_FILE, EpochFile
from gateway.epochs import Epochs
from gateway.fetch.fetcher import Fetcher
from gateway.fetch.resolver import Resolve, SystemResolver
from gateway.fingerprint import Workers
from gateway.forward import Upstream
from gateway.gather import Gatherer
from gateway.hits import Hits
from gateway.judgements import JUDGEMENTS_FILE, Judgements
from gateway.known import KnownAnswers, note
from gateway.labelling import Labelling
from gateway.labels.ask import Labels
from gateway.labels.table import LABELS_FILE
from gateway.ledger import Ledger
from gateway.make import (
    file_beside,
    ledger_file,
    load_embedder,
    make_fetcher,
    make_tracing,
    product_version,
    shadow_file,
    wall_clock,
)
from gateway.metrics import Metrics, State
from gateway.question import Mode
from gateway.receive import Gateway
from gateway.reload import Live
from gateway.rules import known as known_names
from gateway.rules.book import Rulebook
from gateway.shadowlog import ShadowLog
from gateway.sightings import Sightings
from gateway.sightings.album import ALBUM_FILE, Album
from gateway.tenants import Tenants
from gateway.tracing import Tracing
from gateway.watch import Watch
from gateway.webhooks.figures import Waiting
from gateway.webhooks.outbox import WEBHOOKS_FILE, Outbox
from gateway.wiring import Ground, Side, put_together

log = logging.getLogger("lookalike")

_LEDGER_EVERY_S = 5.0


# Told of the ids of entries that were erased, and of the marks (cache/marks.py) of the pictures that were forgotten.
Forgets = Callable[[frozenset[str], frozenset[str]], Awaitable[None]]


@dataclass(slots=True)
class Running:
    """The parts of a gateway that is up, for the endpoints under /cache/."""

    live: Live
    store: Store
    account: Account
    ledger: Ledger
    metrics: Metrics
    shadow_log: ShadowLog
    sightings: Sightings
    embedding: EmbeddingService
    clock: Clock
    monotonic: Clock
    started_s: float
    version: str
    workers: Workers
    flights: Flights[Crowd]
    access: Access
    audit: Audit
    hits: Hits
    judgements: Judgements
    epochs: Epochs
    importer: Gateway  # takes answers that are known, past the upstream and all statistics
    acceptances: Acceptances
    upstream: Upstream
    admission: Admission
    rulebook: Rulebook
    labelling: Labelling
    outbox: Outbox
    labels: Labels
    draining: bool = False  # told to stop
    batches: Desk | None = None
    forgetters: list[Forgets] = field(default_factory=list)  # who else holds something of an entry: thumbnails

    @property
    def settings(self) -> Settings:
        return self.live.settings

    def drain(self) -> None:
        """The process was told to stop."""
        self.draining = True

    def reload(self, settings: Settings) -> None:
        """Take over what may change while the gateway runs. Raises ValueError, and changes nothing, where rules need
        what the gateway was not started with."""
        known_names.check(settings.rules, self.settings.webhooks, self.settings.classifiers)
        self.live.take(settings)
        self.account.reprice(self.live.prices())
        self.rulebook.replace(settings.rules)

    async def erase(self, ids: Collection[str], marks: frozenset[str] = frozenset()) -> list[str]:
        """Erase entries, and what others keep of them. The ids that were there."""
        for forget in self.forgetters:
            await forget(frozenset(ids), marks)
        erased = await self.store.erase(ids)
        for forget in self.forgetters:  # what came from requests that were under way
            await forget(frozenset(ids), marks)
        return erased


def create_app(
    settings: Settings,
    store: Store,
    clock: Clock = wall_clock,
    monotonic: Clock = time.perf_counter,
    resolve: Resolve | None = None,
    tracing: Tracing | None = None,
) -> Starlette:
    """The gateway as an ASGI application over an open store, which its lifespan closes in the end. The embedder
    is loaded in the background, so that requests are served at once. `resolve` looks up the hosts of pictures. Without
    `tracing`, the settings say whether there is any. Raises ConfigError where they leave open who may use /cache/."""
    access = Access(policy(settings), store.secret(), clock)
    ledger, metrics = Ledger(ledger_file(settings), clock), Metrics()
    live = Live(settings)
    account = Account(live.prices(), clock, monotonic, (ledger.count, metrics.count))
    judgements, audit = (
        Judgements(file_beside(settings, JUDGEMENTS_FILE)),
        Audit(file_beside(settings, AUDIT_FILE), clock),
    )
    embedding = EmbeddingService(lambda: load_embedder(settings), monotonic=monotonic)
    tracing = make_tracing(settings, clock, monotonic) if tracing is None else tracing
    upstream = Upstream(settings, monotonic)
    admission = Admission(settings.requests_max, settings.held_bytes_max)
    metrics.watch(_state(settings, store, embedding, upstream, admission))
    workers = Workers(settings.workers)
    shadow_log = ShadowLog(shadow_file(settings), settings.shadow_log_bytes_max)
    watch = Watch(store, workers, shadow_log, live.price, clock) if settings.mode is Mode.SHADOW else None
    fetcher = make_fetcher(settings, resolve or SystemResolver())
    gatherer = Gatherer(settings, workers, fetcher)
    flights = Flights[Crowd]()
    tenants = Tenants(store.secret(), settings.shared, settings.credential_trust_s)
    acceptances = Acceptances(file_beside(settings, ACCEPTED_FILE), clock, tenants.longest_trust_s)
    epochs_file = file_beside(settings, EPOCHS_FILE)
    epochs = Epochs(store, EpochFile(epochs_file) if epochs_file else None, clock, monotonic)
    outbox = Outbox(settings.webhooks, file_beside(settings, WEBHOOKS_FILE), clock)
    metrics.watch(Waiting(outbox.report))
    labels = Labels(settings.classifiers, settings.upstream, file_beside(settings, LABELS_FILE), store.secret())
    rulebook, labelling = Rulebook(settings.rules), Labelling(labels, outbox, _late(ledger, metrics))
    album = Album(settings.cache_dir / ALBUM_FILE if settings.store == "embedded" else None)
    sightings = Sightings(album, store, settings.keeps_thumbnails, settings.ttl_s, clock, monotonic)
    ground = Ground(
        settings, store, embedding, workers, gatherer, epochs, acceptances, admission, clock=clock, monotonic=monotonic
    )
    acting = outbox, labelling, settings.reply_bytes_max, clock
    traffic = Side(upstream, account, Actors(rulebook, *acting), tenants, flights, True, watch, sightings, tracing)
    gateway, hits = put_together(ground, traffic)
    # What an operator brings in proves no key, meets no rule, and is no part of the statistics or of the shadow log.
    known, noting = Upstream(settings, monotonic, KnownAnswers()), Account(live.prices(), clock, monotonic, (note,))
    brought = Side(known, noting, Actors(Rulebook(()), *acting), tenants.believed(), Flights[Crowd](), proves=False)
    importer, _ = put_together(ground, brought)
    batches = make_batches(settings, gateway, store, clock, monotonic)

    running = Running(
        live=live,
        store=store,
        account=account,
        ledger=ledger,
        metrics=metrics,
        shadow_log=shadow_log,
        sightings=sightings,
        embedding=embedding,
        clock=clock,
        monotonic=monotonic,
        started_s=monotonic(),
        version=product_version(),
        workers=workers,
        flights=flights,
        access=access,
        audit=audit,
        hits=hits,
        judgements=judgements,
        batches=batches,
        acceptances=acceptances,
        outbox=outbox,
        labels=labels,
        upstream=upstream,
        admission=admission,
        rulebook=rulebook,
        labelling=labelling,
        epochs=epochs,
        importer=importer,
        forgetters=[sightings.forget, outbox.forget],
    )
    routes = [admin.mount(access), *(Endpoints(batches, store.secret()).routes() if batches else [])]
    app = Starlette(routes=routes, lifespan=lambda app: _up(running, upstream, fetcher, tracing))
    app.router.default = gateway  # whatever is not ours is the upstream's, on any path and by any method
    app.state.running = running
    return app


@asynccontextmanager
async def _up(
    running: Running, upstream: Upstream, fetcher: Fetcher | None, tracing: Tracing | None
) -> AsyncIterator[None]:
    """From start to stop: what runs beside the requests; in the end each part is closed, whatever another does."""
    async with AsyncExitStack() as closing:
        closing.push_async_callback(running.store.close)
        closing.push_async_callback(upstream.close)
        if fetcher is not None:
            closing.push_async_callback(fetcher.close)
        closing.push_async_callback(running.embedding.close)
        closing.callback(running.ledger.close)
        closing.callback(running.acceptances.close)
        closing.callback(running.shadow_log.close)
        closing.callback(running.sightings.close)
        closing.push_async_callback(anyio.to_thread.run_sync, running.outbox.close)
        closing.push_async_callback(running.labels.close)
        closing.callback(running.labelling.close)
        running.outbox.start()
        if tracing is not None:
            closing.push_async_callback(anyio.to_thread.run_sync, tracing.close)
        running.embedding.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_write_ledger, running.ledger, running.store)
            tasks.start_soon(running.sightings.run)
            tasks.start_soon(running.labelling.run)
            tasks.start_soon(running.acceptances.run)
            if running.batches is not None:
                closing.callback(running.batches.close)
                tasks.start_soon(running.batches.run)
            tasks.start_soon(running.epochs.run)
            yield
            if running.batches is not None:
                await running.batches.drain()
            tasks.cancel_scope.cancel()


def _late(ledger: Ledger, metrics: Metrics) -> Callable[[tuple[str, ...]], None]:
    """Counts tags that became known after their request was counted."""

    def count(tags: tuple[str, ...]) -> None:
        ledger.tagged(tags)
        metrics.tagged(tags)

    return count


def _state(
    settings: Settings, store: Store, embedding: EmbeddingService, upstream: Upstream, admission: Admission
) -> State:
    def near() -> bool:
        return isinstance(embedding.state, Ready)

    def free() -> int | None:
        return disk.free_bytes(settings.cache_dir) if settings.store == "embedded" else None

    counted = upstream.report, admission.report
    return State(product_version(), settings.mode, store.size, near, free, *counted)


def make_batches(settings: Settings, gateway: Gateway, store: Store, clock: Clock, monotonic: Clock) -> Desk | None:
    """None where the paths of batches are the upstream's. Raises StoreFault."""
    if (limits := limits_of(settings.batches)) is None:
        return None
    try:
        folder = settings.cache_dir / FOLDER
        return Desk(folder, gateway, limits, settings.body_bytes_max, store.secret(), clock, monotonic)
    except OSError as error:
        raise StoreFault(f"the files of batches cannot be kept: {error}") from error


async def _write_ledger(ledger: Ledger, store: Store) -> None:
    """What waits, every few seconds; and what the store let go meanwhile."""
    before = store.size()
    try:
        while True:
            await anyio.sleep(_LEDGER_EVERY_S)
            try:
                await anyio.to_thread.run_sync(ledger.write)
                before = _noted(ledger, before, store.size())
            except Exception:  # counting must not take the gateway down
                log.exception("the statistics could not be written")
    finally:
        _noted(ledger, before, store.size())


def _noted(ledger: Ledger, before: Size, now: Size) -> Size:
    ledger.let_go(now.evicted - before.evicted, now.expired - before.expired)
    return now

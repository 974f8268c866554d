"""The parts that a request passes, put together once for the clients and once for what an operator brings in.

Nothing is decided here.
"""

from dataclasses import dataclass

from cache.flight import Flights
from cache.stores.base import Clock, Store
from embeddings.batching import EmbeddingService
from gateway.acceptance import Acceptances
from gateway.account import Account
from gateway.acting import Actors
from gateway.admission import Admission
from gateway.changing import Changes
from gateway.config import Settings
from gateway.crowd import Crowd
from gateway.epochs import Epochs
from gateway.fingerprint import Workers
from gateway.follow import Following
from gateway.forward import Upstream
from gateway.gather import Gatherer
from gateway.hits import Hits
from gateway.keep import Keeper
from gateway.plan import Planner
from gateway.receive import Gateway
from gateway.relay import Relay
from gateway.sightings import Sightings
from gateway.tenants import Tenants
from gateway.tracing import Tracing
from gateway.watch import Watch


@dataclass(frozen=True, slots=True)
class Ground:
    """What every request stands on, whoever sends it."""

    settings: Settings
    store: Store
    embedding: EmbeddingService
    workers: Workers
    gatherer: Gatherer
    epochs: Epochs
    acceptances: Acceptances
    admission: Admission
    clock: Clock
    monotonic: Clock


@dataclass(frozen=True, slots=True)
class Side:
    """Where requests go, what is made of the answers, and who hears of them. `proves`: whether an answer says that
    the upstream accepted a key."""

    upstream: Upstream
    account: Account
    actors: Actors
    tenants: Tenants
    flights: Flights[Crowd]
    proves: bool
    watch: Watch | None = None
    sightings: Sightings | None = None
    tracing: Tracing | None = None


def put_together(ground: Ground, side: Side) -> tuple[Gateway, Hits]:
    """The gateway, and what it remembers of its hits."""
    settings, store, epochs, acceptances = ground.settings, ground.store, ground.epochs, ground.acceptances
    upstream, account, actors, tenants = side.upstream, side.account, side.actors, side.tenants
    clocks = ground.clock, ground.monotonic
    parts = store, ground.embedding, ground.workers, ground.gatherer, side.flights
    planner = Planner(settings, *parts, *clocks, epochs, side.watch, acceptances=acceptances)
    believes = acceptances if side.proves else None
    keeper = Keeper(settings, store, Workers(settings.workers), ground.monotonic, epochs, side.watch, believes)
    relay = Relay(settings, upstream, keeper, side.flights, account, actors, tenants, acceptances, *clocks)
    ways = planner, relay, Following(settings, account, actors, *clocks), Changes(relay, epochs)
    noted = account, actors, side.sightings, tenants
    gateway = Gateway(settings, upstream, *ways, *noted, *clocks, ground.admission, side.tracing)
    return gateway, planner.hits

"""The gateway that is asked: one that runs elsewhere, or one of our own in this process over a store.

There is no other way into a store than through a gateway, so what is warmed has the keys of live traffic because it
is live traffic.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from cache.errors import CacheFault
from embeddings.batching import Loading
from gateway.admin.health import describe
from gateway.app import Running, create_app
from gateway.bulk.items import BadInput
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.make import open_store
from gateway.question import Mode, Object
from gateway.server import InThread

_POLL_S: Final = 0.25
_EMBEDDER_WAIT_S: Final = 900.0  # a first start of CLIP downloads its weights
_CONNECT_S: Final = 10.0
_KEEP_ALIVE_S: Final = 60.0  # less than a gateway's 75 s: it is we who close
# There is no caller in a hurry: a lookup waits for the embedder rather than pay for a call.
_EMBED_WAIT_S: Final = 120.0
# /cache/stats waits for what is being stored, but not for longer than a second.
_SETTLED_WITHIN_S: Final = 0.9
_SETTLE_MOST: Final = 30
_OF_NO_USE: Final = {
    Mode.OFF: "would keep nothing of what is asked",
    Mode.SHADOW: "asks the model whatever it has, and would pay for each question once more",
}
_GUARDED: Final = frozenset((401, 403, 429))

Wait = Callable[[float], Awaitable[None]]  # sleeps, or raises Stopped


@dataclass(frozen=True, slots=True)
class Own:
    """A gateway of this process: its base URL, what its health would say, how many answers it has stored, and whether
    one that was given may still become one of them."""

    url: str
    health: Object
    stored: Callable[[], int]
    is_storing: Callable[[], bool]


@asynccontextmanager
async def of_our_own(settings: Settings, wait: Wait) -> AsyncIterator[Own]:
    """A gateway in a thread of this process, on loopback, over the store of these settings. Raises BadInput where the
    store cannot be had."""
    apps: list[Starlette] = []
    # Nor does it take up the batches of the gateway whose settings these are.
    patient = settings.model_copy(update={"embed_timeout_s": _EMBED_WAIT_S, "batches": "off"})

    async def made() -> ASGIApp:
        apps.append(create_app(patient, open_store(patient)))
        return apps[0]

    async with in_thread(made) as url:
        running: Running = apps[0].state.running
        embedding = running.embedding
        while isinstance(embedding.state, Loading):  # what is stored before has no near hits
            await wait(_POLL_S)
        health = {"mode": settings.mode, "embedder": describe(embedding.state)}
        yield Own(url, health, lambda: running.store.size().entries, lambda: running.account.is_settling)


@asynccontextmanager
async def in_thread(make: Callable[[], Awaitable[ASGIApp]]) -> AsyncIterator[str]:
    server = InThread(make)
    try:
        await anyio.to_thread.run_sync(server.__enter__)
    except CacheFault as error:
        raise BadInput(
            f"the store cannot be opened: {error}; if a gateway is running on it, ask that one with --gateway URL"
        ) from error
    except ConfigError as error:
        raise BadInput(f"the settings do not work: {error}") from error
    try:
        yield server.url
    finally:
        with anyio.CancelScope(shield=True):  # answers in flight are stored before it closes
            await anyio.to_thread.run_sync(server.__exit__, None, None, None)


def client(url: str, timeout_s: float) -> httpx.AsyncClient:
    """For a base URL with or without /v1. It knows no credential, and not the machine's own proxies."""
    try:
        base = httpx.URL(url.rstrip("/").removesuffix("/v1"))
    except httpx.InvalidURL as error:
        raise BadInput("--gateway: not a URL") from error
    if base.scheme not in ("http", "https") or not base.host or base.userinfo:
        raise BadInput("--gateway: give a URL such as http://127.0.0.1:8080, without a password")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=_KEEP_ALIVE_S)
    timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
    fields = {"content-type": "application/json", "accept": "application/json"}
    return httpx.AsyncClient(base_url=base, headers=fields, timeout=timeout, limits=limits, trust_env=False)


async def when_ready(asking: httpx.AsyncClient, wait: Wait) -> Object:
    """What the gateway says of itself, once its embedder is loaded: what is stored before then has no near hits. Empty
    where that is guarded; the questions need no such leave. Raises BadInput where there is no gateway, and Stopped."""
    waited_s = 0.0
    while True:
        try:
            response = await asking.get("/cache/health")
            health = _object(response)
            if response.status_code == 200 and health == {"status": "ok"}:  # all that it says without its token
                ready = await asking.get("/cache/health/ready", params={"embedder": "1"})
                if ready.status_code != 503 or waited_s > _EMBEDDER_WAIT_S:
                    return {}
                health = {"embedder": {"state": "loading"}}
        except httpx.TransportError as error:
            raise BadInput(f"there is no gateway at {asking.base_url}: {str(error) or type(error).__name__}") from error
        if response.status_code in _GUARDED:
            return {}
        if response.status_code != 200 or not isinstance(health.get("embedder"), dict):
            raise BadInput(f"what answers at {asking.base_url} is no lookalike gateway (it has no /cache/health)")
        if health["embedder"].get("state") != "loading" or waited_s > _EMBEDDER_WAIT_S:
            return health
        await wait(_POLL_S)
        waited_s += _POLL_S


async def settle(asking: httpx.AsyncClient, monotonic: Callable[[], float]) -> int | None:
    """Wait until what was answered is stored, so that what looks like it will find it. How many answers the gateway has
    ever not stored; None where it does not tell, and then it is not waited for: that costs a call, nothing else."""
    unstored: int | None = None
    for _ in range(_SETTLE_MOST):
        begun_s = monotonic()
        try:
            response = await asking.get("/cache/stats")
        except httpx.TransportError:
            return None
        unstored = _total(_object(response).get("not_stored"))
        if response.status_code != 200 or monotonic() - begun_s < _SETTLED_WITHIN_S:
            break
    return unstored


def look_over(health: Object, warms: bool) -> str | None:
    """What a user should know of this gateway before it is asked. Raises BadInput where warming it is of no use."""
    mode = health.get("mode")
    if warms and mode in (Mode.OFF, Mode.SHADOW):
        raise BadInput(
            f'the mode of the gateway is "{mode}": it {_OF_NO_USE[mode]}; nothing was asked. Warm it once it runs with '
            'mode = "near" (or "pixel", "exact")'
        )
    embedder = health.get("embedder") or {}
    if embedder.get("state") in ("failed", "broken"):
        return f"the gateway has no embedder, so nothing will be found again by likeness: {embedder.get('why')}"
    return None


def _total(counts: object) -> int | None:
    return sum(counts.values()) if isinstance(counts, dict) else None


def _object(response: httpx.Response) -> Object:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

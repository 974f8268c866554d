"""GET /cache/health, and what container probes ask: /cache/health/live and /cache/health/ready.

Requests are served whatever the cache's state: at the worst they are forwarded. So a trouble of the cache makes
no gateway unready, or a full disk would take down what does not need it; `problems` in the full report says it.
"""

from typing import Any, assert_never

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cache.errors import CacheFault
from embeddings.batching import Broken, EmbeddingService, Failed, Loading, Ready, State
from gateway import disk
from gateway.config import Settings

STRICT_LIMITS = (
    "near hits reach only pictures answered since the gateway started, and of these the ones used last; "
    "exact and pixel hits reach every stored answer"
)
# Below this, answers may soon not be stored any more.
_FREE_BYTES_MIN = 256 * 2**20


async def live(request: Request) -> Response:
    """200 as long as the event loop turns."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """200 while requests are served, 503 once the gateway was told to stop. With `?embedder=1`, 503 until the embedder
    has been loaded (or will not be): for a rollout that should not take the place of a warm gateway too early."""
    running = request.app.state.running
    state = describe(running.embedding.state)
    if running.draining:
        return JSONResponse({"status": "draining", "embedder": state}, 503)
    waiting = request.query_params.get("embedder") == "1" and isinstance(running.embedding.state, Loading)
    return JSONResponse({"status": "not-ready" if waiting else "ready", "embedder": state}, 503 if waiting else 200)


async def health(request: Request) -> Response:
    """Always 200. With `?check=store`, every row of the store is read and compared, which takes its time."""
    running = request.app.state.running
    size, room = running.store.size(), await anyio.to_thread.run_sync(_disk, running.settings)
    store = {"kind": running.settings.store, "entries": size.entries, "set_aside": size.set_aside}
    upstreams = running.upstream.report()
    problems = _problems(running.embedding, room, upstreams)
    if request.query_params.get("check") == "store":
        store["wrong"] = wrong = await _check(running.store)
        problems += [f"the store: {each}" for each in wrong]
    return JSONResponse(
        {
            "status": "degraded" if problems else "ok",
            "problems": problems,
            "version": running.version,
            "uptime_s": round(running.monotonic() - running.started_s, 1),
            "upstream": running.settings.upstream,
            "upstreams": upstreams,
            "load": running.admission.report(),
            "mode": running.settings.mode,
            "embedder": describe(running.embedding.state) | {"faults": running.embedding.faults},
            "privacy": privacy(running.settings),
            "store": store,
            "disk": room,
        }
    )


async def _check(store: Any) -> list[str]:
    try:
        wrong: list[str] = await store.check()
    except CacheFault as fault:
        return [str(fault)]
    return wrong


def _problems(
    embedding: EmbeddingService, room: dict[str, int] | None, upstreams: dict[str, dict[str, Any]]
) -> list[str]:
    down = [name for name, report in upstreams.items() if report["breaker"] in ("open", "half-open")]
    problems = [f"the {name} upstream fails, and is not asked for a moment (its breaker is open)" for name in down]
    if isinstance(embedding.state, Failed):
        problems.append(f"no near hits: {embedding.state.why}")
    if isinstance(embedding.state, Broken):
        problems.append(f"no near hits for now, loading the embedder is tried again: {embedding.state.why}")
    if embedding.is_stuck:
        problems.append("no near hits: the embedder has not come back from its last pictures")
    if room is not None and room["free_bytes"] < _FREE_BYTES_MIN:
        problems.append(f"the disk of the store has only {room['free_bytes'] // 2**20} MiB left")
    return problems


def _disk(settings: Settings) -> dict[str, int] | None:
    """Room where the store is; None for a store in memory. Blocking."""
    return {"free_bytes": disk.free_bytes(settings.cache_dir)} if settings.store == "embedded" else None


def privacy(settings: Settings) -> dict[str, str]:
    """What is kept of pictures, and what that costs, in words."""
    if settings.privacy == "standard":
        return {"kept": "standard"}
    return {"kept": "strict", "limits": STRICT_LIMITS}


def describe(state: State) -> dict[str, Any]:
    """The embedder's state in words: which one answers, and why, if it is a fallback."""
    match state:
        case Loading():
            return {"state": "loading", "near_hits": False}
        case Ready(embedder=embedder, note=note, caution=caution):
            facts = {"state": "ready", "near_hits": True, "space": embedder.space.key, "threshold": embedder.threshold}
            return facts | ({"fallback": note} if note else {}) | ({"caution": caution} if caution else {})
        case Failed(why=why):
            return {"state": "failed", "near_hits": False, "why": why}
        case Broken(why=why):
            return {"state": "broken", "near_hits": False, "why": why}
        case _:
            assert_never(state)

"""GET /cache/health: 200 as soon as requests are served, with the state of each part."""

from typing import Any, assert_never

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from embeddings.batching import Failed, Loading, Ready, State
from gateway.config import Settings

STRICT_LIMITS = (
    "near hits reach only pictures answered since the gateway started, and of these the ones used last; "
    "exact and pixel hits reach every stored answer"
)


async def health(request: Request) -> Response:
    running = request.app.state.running
    size = running.store.size()
    return JSONResponse(
        {
            "status": "ok",
            "version": running.version,
            "uptime_s": round(running.monotonic() - running.started_s, 1),
            "upstream": running.settings.upstream,
            "mode": running.settings.mode,
            "embedder": describe(running.embedding.state),
            "privacy": privacy(running.settings),
            "store": {"kind": running.settings.store, "entries": size.entries, "set_aside": size.set_aside},
        }
    )


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
        case _:
            assert_never(state)

"""GET /cache/stats: what was asked, what was answered from the cache and why not, and what it saved."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.health import describe, privacy

_SETTLE_S = 1.0


async def stats(request: Request) -> Response:
    running = request.app.state.running
    await running.account.settled(_SETTLE_S)
    prices = {model: price.model_dump(exclude_none=True) for model, price in running.settings.prices.items()}
    return JSONResponse(
        running.account.report()
        | {
            "shadow": running.account.shadow() | {"log": running.shadow_log.report()},
            "store": asdict(running.store.size()),
            "embedder": describe(running.embedding.state),
            "privacy": privacy(running.settings),
            "feedback": running.judgements.report(),
            "prices": prices or "unknown",
            "uptime_s": round(running.monotonic() - running.started_s, 1),
        }
    )

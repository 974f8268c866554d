"""Everything under /cache/: what the gateway says of itself. Nothing here is ever forwarded."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.admin import dashboard
from gateway.admin.health import health, live, ready
from gateway.admin.metrics import metrics
from gateway.admin.stats import series, stats


async def _nothing_here(request: Request) -> Response:
    there = "there is /cache/dashboard, /cache/health, /cache/stats and /cache/metrics"
    return JSONResponse({"error": {"message": there, "code": "not_found"}}, 404)


def routes() -> list[BaseRoute]:
    return [
        Route("/health", health, methods=["GET"]),
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/stats", stats, methods=["GET"]),
        Route("/stats/series", series, methods=["GET"]),
        *dashboard.routes(),
        Route("/{rest:path}", _nothing_here),
    ]

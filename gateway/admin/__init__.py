"""Everything under /cache/: what the gateway says of itself. Nothing here is ever forwarded."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.admin.health import health
from gateway.admin.stats import stats


async def _nothing_here(request: Request) -> Response:
    return JSONResponse({"error": {"message": "there is /cache/health and /cache/stats", "code": "not_found"}}, 404)


def routes() -> list[BaseRoute]:
    return [
        Route("/health", health, methods=["GET"]),
        Route("/stats", stats, methods=["GET"]),
        Route("/{rest:path}", _nothing_here),
    ]

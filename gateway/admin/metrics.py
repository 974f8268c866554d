"""GET /cache/metrics: Prometheus' text format, or OpenMetrics for who asks for it."""

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response


async def metrics(request: Request) -> Response:
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(request.app.state.running.metrics.registry), headers={"content-type": media_type})

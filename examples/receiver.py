"""A webhook's receiver: verifies each event, takes it once, and hands it to whoever is to act on it.

A receiver of your own does the same in any language; docs/webhooks.md says how.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.webhooks.signature import NotGenuine, verify

log = logging.getLogger("receiver")

Act = Callable[[dict[str, Any]], None]


def receiver(key: bytes, act: Act, clock: Callable[[], float] = time.time) -> Starlette:
    """Posts to /events reach `act` with the event's `data`, each once."""
    had: set[str] = set()  # in earnest: a table, written with what `act` does

    async def take(request: Request) -> Response:
        body = await request.body()  # the bytes as they came: JSON that was parsed and written again is not them
        try:
            event_id = verify(key, dict(request.headers), body, clock())
        except NotGenuine as refusal:
            log.warning("an event was refused: %s", refusal)
            return Response(status_code=401)
        if event_id not in had:
            act(json.loads(body)["data"])
            had.add(event_id)
        return Response(status_code=204)

    return Starlette(routes=[Route("/events", take, methods=["POST"])])

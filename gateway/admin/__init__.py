"""Everything under /cache/: what the gateway says of itself, and lets be done. Nothing here is ever forwarded."""

import re

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.admin import dashboard, entries, epochs, events, feedback, known, login, openapi, purge
from gateway.admin.access import MOUNT, Access, Guarded
from gateway.admin.health import health, live, ready
from gateway.admin.metrics import metrics
from gateway.admin.replies import Problem
from gateway.admin.stats import series, stats


async def _nothing_here(request: Request) -> Response:
    raise Problem(404, "not_found", "there is no such page; GET /cache/openapi.json lists what there is")


def mount(access: Access) -> Mount:
    """All of it, behind the rules of access.py: an endpoint is guarded by being here."""
    guard = Middleware(Guarded, access=access, open_paths=login.OPEN_PATHS)
    mounted = Mount(MOUNT, routes=routes(), middleware=[guard])
    # To Starlette a path ends at a line break (%0A): the rest of it would make the request the upstream's.
    mounted.path_regex = re.compile(mounted.path_regex.pattern, re.DOTALL)
    return mounted


def routes() -> list[BaseRoute]:
    return [
        Route("/health", health, methods=["GET"]),
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/stats", stats, methods=["GET"]),
        Route("/stats/series", series, methods=["GET"]),
        *dashboard.routes(),
        Route("/login", login.page, methods=["GET"]),
        Route("/login", login.log_in, methods=["POST"]),
        Route("/logout", login.log_out, methods=["POST"]),
        Route("/session", login.session, methods=["GET"]),
        Route("/entries", entries.list_entries, methods=["GET"]),
        Route("/entries/{id}", entries.show_entry, methods=["GET"]),
        Route("/entries/{id}", entries.delete_entry, methods=["DELETE"]),
        Route("/entries/{id}/feedback", feedback.give_feedback, methods=["POST"]),
        Route("/epochs", epochs.list_epochs, methods=["GET"]),
        Route("/epochs", epochs.bump, methods=["POST"]),
        Route("/feedback", feedback.show_feedback, methods=["GET"]),
        Route("/events", events.show_events, methods=["GET"]),
        Route("/events/retry", events.retry, methods=["POST"]),
        Route("/purge", purge.purge, methods=["POST"]),
        Route("/forget", purge.forget, methods=["POST"]),
        Route("/import", known.import_answer, methods=["POST"]),
        Route("/openapi.json", openapi.document, methods=["GET"]),
        Route("/{rest:path}", _nothing_here),
    ]

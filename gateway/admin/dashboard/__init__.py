"""The dashboard under /cache/dashboard: the overview, the hit inspector, and the pictures that they show.

Pages are rendered here; a script asks for `now` every few seconds and puts the same fragments in place.
docs/dashboard.md says what is on them.
"""

from typing import Any, Final

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.admin.dashboard import overview, shelf
from gateway.admin.dashboard.hits import hits
from gateway.admin.dashboard.page import BASE, HEADERS, asset, choice, fragment, page, visitor
from gateway.admin.dashboard.words import Words
from gateway.admin.stats import figures
from gateway.ledger import LedgerFault
from gateway.names import Window

_RECENT_SHOWN: Final = 15


def routes() -> list[BaseRoute]:
    return [
        Route("/dashboard", _show, methods=["GET"]),
        Route("/dashboard/now", _now, methods=["GET"]),
        Route("/dashboard/hits", hits, methods=["GET"]),
        Route("/dashboard/pictures/{sighting}/{number:int}/{part}.jpg", shelf.picture, methods=["GET"]),
        Route("/dashboard/served/{entry}.jpg", shelf.served_picture, methods=["GET"]),
        Route("/dashboard/assets/{name}", asset, methods=["GET"]),
    ]


async def _show(request: Request) -> Response:
    if (reply := choice(request)) is not None:
        return reply
    seen_by, window = visitor(request), _window(request)
    try:
        fragments, _ = await _now_of(request, window, seen_by.words)
    except LedgerFault as fault:
        return PlainTextResponse(str(fault), 503, HEADERS)
    values = {"window": window, "windows": list(Window), "fragments": fragments}
    return page(request, "overview.html.j2", seen_by, title=seen_by.words("dashboard"), page="dashboard", **values)


async def _now(request: Request) -> Response:
    """What changes on the overview: fragments of HTML by name, and what the charts draw."""
    try:
        fragments, charts = await _now_of(request, _window(request), visitor(request).words)
    except LedgerFault as fault:
        return JSONResponse({"error": {"message": str(fault), "code": "ledger_fault"}}, 503, HEADERS)
    return JSONResponse({"fragments": fragments, "charts": charts}, headers=HEADERS)


def _window(request: Request) -> Window:
    named = request.query_params.get("window")
    return Window(named) if named in list(Window) else Window.DAY


async def _now_of(request: Request, window: Window, words: Words) -> tuple[dict[str, str], dict[str, Any]]:
    running = request.app.state.running
    stats, series = await figures(running, window), await running.ledger.series(window)
    charts = overview.charts(stats, series, words)
    mode, now_s, recent = running.settings.mode, running.clock(), running.sightings.recent()[:_RECENT_SHOWN]
    address = f"{request.url.scheme}://{request.url.netloc}"
    fragments = {
        "notices": fragment("notices", words, overview.notices(stats, mode, words), not recent, address),
        "cards": fragment("cards", words, overview.cards(stats, running.judgements.report(), f"{BASE}/hits", words)),
        "faster": escape(overview.faster(stats, words)),
        "saved": escape(words(f"chart-saved-{charts['saved']['of']}")),
        "reasons": fragment("reasons", words, overview.rows(stats, words)),
        "served": fragment("served", words, await shelf.most_served(running, now_s, words)),
        "recent": fragment("recent", words, [overview.line(one, now_s, words) for one in recent]),
        "state": fragment("state", words, overview.state(stats, mode, running.version, words)),
    }
    return {name: str(html) for name, html in fragments.items()}, charts

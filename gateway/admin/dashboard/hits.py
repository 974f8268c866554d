"""GET /cache/dashboard/hits: near hits to be judged, and near misses with what the guard had against them."""

from functools import partial
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from cache.errors import CacheFault
from gateway import capture
from gateway.admin.dashboard import inspector
from gateway.admin.dashboard.page import BASE, choice, page, visitor
from gateway.admin.dashboard.words import Words
from gateway.dialects import DIALECTS
from gateway.sighting import Sight, Sighting

_A_PAGE: Final = 12
_ANSWER_MOST: Final = 4_000  # characters


async def hits(request: Request) -> Response:
    if (reply := choice(request)) is not None:
        return reply
    running, seen_by = request.app.state.running, visitor(request)
    sight = Sight.NEAR_MISS if request.query_params.get("sight") == Sight.NEAR_MISS else Sight.NEAR_HIT
    seen, start = running.sightings.of(sight), _start(request)
    shown = seen[start : start + _A_PAGE]
    return page(
        request,
        "hits.html.j2",
        seen_by,
        title=seen_by.words("hits"),
        page="hits",
        sight=sight.value,
        counts={each.value: len(running.sightings.of(each)) for each in Sight},
        items=[await _item(running, one, seen_by.words) for one in shown],
        pictures_kept=running.settings.keeps_thumbnails,
        pictures_note=_pictures_note(running, seen_by.words),
        older=start + _A_PAGE if start + _A_PAGE < len(seen) else None,
        newer=max(0, start - _A_PAGE) if start else None,
    )


def _start(request: Request) -> int:
    named = request.query_params.get("from", "0")
    return int(named) if named.isascii() and named.isdigit() and len(named) < 6 else 0


def _pictures_note(running: Any, words: Words) -> str:
    if running.settings.keeps_thumbnails:
        return ""
    return words("pictures-strict" if running.settings.privacy == "strict" else "pictures-off")


async def _item(running: Any, one: Sighting, words: Words) -> inspector.Item:
    parts = await anyio.to_thread.run_sync(partial(running.sightings.album.parts, one.id))
    figures = inspector.rows(parts, f"{BASE}/pictures/{one.id}", words)
    missing = "" if figures or not running.settings.keeps_thumbnails else _why_undrawn(running, one, words)
    prompt = running.sightings.prompt(one.id)
    return inspector.item(one, figures, missing, prompt, await _answers(running, one, words), running.clock(), words)


def _why_undrawn(running: Any, one: Sighting, words: Words) -> str:
    return words("drawing" if running.sightings.draws(one.id) else "undrawn")


async def _answers(running: Any, one: Sighting, words: Words) -> tuple[tuple[str, str | None], ...]:
    """What was served; of a near miss what would have been, and what the model said instead."""
    stored = await _answer(running, one.entry, one.dialect)
    if one.sight is Sight.NEAR_HIT:
        return ((words("answer-would" if one.shadow else "answer"), stored),)
    fresh = await _answer(running, one.stored, one.dialect) if one.stored else None
    said = ((words("answer-fresh"), fresh),) if fresh is not None else ()
    return ((words("answer-would"), stored), *said)


async def _answer(running: Any, entry_id: str, dialect_name: str) -> str | None:
    """The text of a stored answer; None if it is gone or cannot be read."""
    dialect = next((one for one in DIALECTS if one.name == dialect_name), None)
    try:
        packed = await running.store.peek(entry_id)
        if packed is None or dialect is None:
            return None
        return dialect.text(capture.unpack(packed))[:_ANSWER_MOST]
    except CacheFault:
        return None

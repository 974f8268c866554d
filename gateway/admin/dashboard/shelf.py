"""Pictures for the dashboard: thumbnails of sightings, and the stored pictures that are served most.

A served picture is made from the guard's evidence when it is looked at; nothing more is kept of it.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.dashboard.page import BASE, HEADERS
from gateway.admin.dashboard.words import Words
from gateway.sightings.thumbnails import Part, served

_SERVED_SHOWN: Final = 8
# A picture of an id never changes; it stays in the browser as long as the page is of use.
_KEPT: Final = HEADERS | {"cache-control": "private, max-age=600"}


@dataclass(frozen=True, slots=True)
class Served:
    """A stored answer that was served often."""

    entry: str
    times: str
    ago: str
    picture: str | None  # where it is, if it may be shown


async def most_served(running: Any, now_s: float, words: Words) -> list[Served]:
    shown = running.settings.keeps_thumbnails
    return [
        Served(
            entry=entry,
            times=words("served-times", times=words.number(each.hits)),
            ago=words.ago(now_s - each.last_s),
            picture=f"{BASE}/served/{entry}.jpg" if shown and await running.store.evidence(entry) else None,
        )
        for entry, each in running.sightings.most_served(_SERVED_SHOWN)
    ]


async def picture(request: Request) -> Response:
    """A thumbnail of a sighting."""
    running, path = request.app.state.running, request.path_params
    if path["part"] not in list(Part):
        return _none()
    wanted = path["sighting"], path["number"], Part(path["part"])
    jpeg = await anyio.to_thread.run_sync(partial(running.sightings.album.picture, *wanted))
    return _none() if jpeg is None else Response(jpeg, media_type="image/jpeg", headers=_KEPT)


async def served_picture(request: Request) -> Response:
    running = request.app.state.running
    evidence = await running.store.evidence(request.path_params["entry"]) if running.settings.keeps_thumbnails else ()
    if not evidence:
        return _none()
    jpeg = await anyio.to_thread.run_sync(partial(_small, evidence[0]))
    return Response(jpeg, media_type="image/jpeg", headers=_KEPT)


@lru_cache(maxsize=64)
def _small(evidence: bytes) -> bytes:
    return served(evidence)


def _none() -> Response:
    return Response("there is no such picture", 404, media_type="text/plain", headers=HEADERS)

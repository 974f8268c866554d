"""/cache/entries/{id}/feedback and /cache/feedback: a person says whether a hit was right."""

import logging

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cache.stores.apart import Pair
from cache.stores.base import Store
from gateway.admin.entries import nothing
from gateway.admin.replies import read
from gateway.hits import UNKNOWN, Served
from gateway.judgements import Judgements
from gateway.question import Judgement

log = logging.getLogger("lookalike")

# Naming a hit by its pixels takes milliseconds, right after it was served.
_NAMED_WITHIN_S = 5.0


class Feedback(BaseModel):
    """The body of POST /cache/entries/{id}/feedback."""

    model_config = ConfigDict(extra="forbid")

    verdict: Judgement
    request: str = Field(pattern=r"^[0-9a-f]{64}$", description="X-Lookalike-Request of the hit")


async def give_feedback(request: Request) -> Response:
    running, entry_id = request.app.state.running, request.path_params["id"]
    said = await read(request, Feedback)
    served: Served | None = running.hits.get(said.request, entry_id)
    stored = next((kept.entry for kept in await running.store.entries() if kept.entry.id == entry_id), None)
    if served is None and stored is not None:  # a hit before the last restart
        served = running.hits.add(said.request, "exact" if said.request == stored.exact else UNKNOWN, stored)
        served.named.set()
    if served is None:
        raise nothing(entry_id)
    wrong = said.verdict is Judgement.WRONG
    removes = wrong and stored is not None
    if removes or served.judged is not said.verdict:
        facts = {"verdict": said.verdict, "hit": served.hit, "entry": entry_id, "entries": int(removes)}
        await running.audit.note(request, "feedback", **facts)
    remembered = wrong and await _part(running.store, served)
    removed = removes and await running.store.remove(entry_id)
    counted = await _count(running.judgements, said.verdict, served)
    running.sightings.judge(entry_id, said.request, said.verdict)
    told = {"verdict": said.verdict, "hit": None if served.hit == UNKNOWN else served.hit}
    return JSONResponse(told | {"removed": removed, "remembered": remembered, "counted": counted})


async def show_feedback(request: Request) -> Response:
    running = request.app.state.running
    return JSONResponse(running.judgements.report() | {"pairs": running.store.size().apart})


async def _part(store: Store, served: Served) -> bool:
    """Keep the two pictures apart, before the answer goes. False for one picture, whose answer alone was wrong."""
    with anyio.move_on_after(_NAMED_WITHIN_S):
        await served.named.wait()
    asked, stored = frozenset(served.keys), frozenset((served.entry.exact, served.entry.pixel))
    if served.hit not in ("near", UNKNOWN) or asked & stored:
        return False
    await store.part(Pair(asked, stored))
    return True


async def _count(judgements: Judgements, verdict: Judgement, served: Served) -> bool:
    """False for what was said before; nothing is awaited between that look and the count, so a double click is one."""
    if served.judged is verdict:
        return False
    judgements.count(verdict, served.hit, served.judged)
    served.judged = verdict
    try:
        await anyio.to_thread.run_sync(judgements.write)
    except OSError as error:
        log.warning("the judgements could not be written: %s", error)
    return True

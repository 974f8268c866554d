"""/cache/purge and /cache/forget: many entries at once. Both count unless told to act, and then say what is gone."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cache.forget import Sought, showing
from cache.marks import Marks
from cache.stores.base import Kept
from embeddings.batching import Broken, Failed, Loading
from gateway.admin.entries import TENANT
from gateway.admin.replies import Problem, body, read
from gateway.admin.selection import Selection, newest_first
from gateway.fingerprint import Fingerprint
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable

_IDS_SHOWN = 20


class Purge(BaseModel):
    """The body of POST /cache/purge."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    tenant: str | None = Field(None, pattern=TENANT)
    prompt: str | None = Field(None, min_length=1)
    older_than_s: float | None = Field(None, ge=0)
    newer_than_s: float | None = Field(None, ge=0)
    all: bool = False
    confirm: bool = False

    @model_validator(mode="after")
    def says_what(self) -> "Purge":
        some = any(getattr(self, name) is not None for name in Selection.__dataclass_fields__)
        if some == self.all:
            raise ValueError('say what to delete (model, tenant, prompt, older_than_s, newer_than_s), or "all": true')
        return self


async def purge(request: Request) -> Response:
    running, wanted = request.app.state.running, await read(request, Purge)
    prompt = None if wanted.prompt is None else Marks(running.store.secret()).prompt(wanted.prompt)
    selection = Selection(wanted.model, wanted.tenant, prompt, wanted.older_than_s, wanted.newer_than_s)
    now_s = running.clock()
    chosen = [kept for kept in await running.store.entries() if selection.takes(kept.entry, now_s)]
    by = selection.facts or {"all": True}
    return JSONResponse(await _delete(request, "purge", chosen, wanted.confirm, by=by))


async def forget(request: Request) -> Response:
    running = request.app.state.running
    confirm = request.query_params.get("confirm", "false")
    if set(request.query_params) - {"confirm"} or confirm not in ("true", "false"):
        raise Problem(400, "bad_request", "the query may say confirm=true, and nothing else")
    picture = Picture.of(await body(request, running.settings.body_bytes_max))
    if not picture.data:
        raise Problem(400, "bad_request", "send the picture file as the body")
    sought, notes = await _sought(request, picture)
    found = await showing(running.store, sought, running.workers.run)
    chosen = [kept for kept in await running.store.entries() if kept.entry.id in found.ids]
    counts = {"bytes": len(found.bytes), "pixels": len(found.pixels), "near": len(found.near)}
    shown = frozenset(filter(None, (sought.file, sought.pixels)))
    told = await _delete(request, "forget", chosen, confirm == "true", shown, by={"picture": sought.file}, found=counts)
    blind = found.not_comparable if sought.pixels else 0  # what is no picture here is like none, and a note says so
    notes += _blind(blind, sought)
    return JSONResponse(told | {"found": counts, "not_comparable": blind, "notes": notes})


async def _delete(
    request: Request, action: str, chosen: list[Kept], confirm: bool, shown: frozenset[str] = frozenset(), **facts: Any
) -> dict[str, Any]:
    """What is, or would be, deleted. Confirmed, it is noted first and then done. `shown` are the marks of a picture."""
    running = request.app.state.running
    ids = [entry.id for entry in newest_first([kept.entry for kept in chosen])]
    counted = {"entries": len(ids), "bytes": sum(kept.bytes for kept in chosen)}
    if confirm:
        await running.audit.note(request, action, **facts, **counted)
        gone = set(await running.erase(ids, shown))
        counted = {"entries": len(gone), "bytes": sum(kept.bytes for kept in chosen if kept.entry.id in gone)}
    return {"dry_run": not confirm, **counted, "ids": ids[:_IDS_SHOWN]}


async def _sought(request: Request, picture: Picture) -> tuple[Sought, list[str]]:
    """The picture as the ladder would see it, and notes on what cannot be seen of it."""
    running = request.app.state.running
    marks, settings = Marks(running.store.secret()), running.settings
    state = running.embedding.state
    if isinstance(state, Loading):
        raise Problem(503, "embedder_loading", "copies cannot be found while the embedder is loading: ask again", _SOON)
    looks = Fingerprint((picture,), running.workers, running.embedding, settings.pixels_max)
    try:
        (pixels,) = await looks.pixels()
        views = await looks.views()
        embedded = await looks.embedded() if views else None
    except NotCacheable as error:
        why = _UNREAD.get(error.why, f"the file cannot be compared with pictures here ({error.why})")
        return Sought(marks.file(picture.digest), None, None, None), [f"{why}: it was looked for by its bytes only"]
    notes = [] if views else ["its colours have no plain rendering: it was looked for by bytes and pixels only"]
    if isinstance(state, Failed | Broken):
        notes.append(f"there is no embedder ({state.why}): it was looked for by bytes and pixels only")
    elif views and embedded is None:
        raise Problem(503, "embedder_busy", "the embedder did not answer: ask again", _SOON)
    return Sought(marks.file(picture.digest), marks.pixels(pixels), embedded, views[0] if views else None), notes


_SOON = {"retry-after": "5"}
_UNREAD = {Bypass.PICTURE_UNREADABLE: "the file is not a picture that can be read here"}


def _blind(entries: int, sought: Sought) -> list[str]:
    if not entries:
        return []
    why = "have no vectors in the embedder's present space" if sought.embedded else "could not be compared with it"
    return [f"{entries} entries {why}: nobody can tell whether they show a copy of it"]

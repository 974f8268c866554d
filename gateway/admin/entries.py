"""/cache/entries: what is stored, one answer at a time. Listed, shown and deleted by id; no picture is ever given."""

import logging
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cache.entry import Entry
from cache.errors import CorruptRow
from cache.stores.base import Kept, Store
from gateway import capture
from gateway.admin.replies import Problem, in_words
from gateway.admin.selection import Selection, page, place
from gateway.dialects import DIALECTS

log = logging.getLogger("lookalike")

TENANT = r"^[0-9a-f]{8,}$"  # the first digits


class ListQuery(BaseModel):
    """The query of GET /cache/entries."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    tenant: str | None = Field(None, pattern=TENANT)
    prompt: str | None = Field(None, pattern=r"^[0-9a-f]+$")
    older_than_s: float | None = Field(None, ge=0)
    newer_than_s: float | None = Field(None, ge=0)
    limit: int = Field(50, ge=1, le=1000)
    after: tuple[float, str] | None = None

    @field_validator("after", mode="before")
    @classmethod
    def is_a_place(cls, value: Any) -> Any:
        try:
            return place(value)
        except ValueError as error:
            raise ValueError("give the `next` of the page before") from error


async def list_entries(request: Request) -> Response:
    running = request.app.state.running
    try:
        query = ListQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise Problem(400, "bad_request", in_words(error)) from error
    wanted = Selection(query.model, query.tenant, query.prompt, query.older_than_s, query.newer_than_s)
    now_s = running.clock()
    matched = [kept.entry for kept in await running.store.entries() if wanted.takes(kept.entry, now_s)]
    shown, after = page(matched, query.after, query.limit)
    return JSONResponse({"entries": [facts(one, now_s) for one in shown], "matched": len(matched), "next": after})


async def show_entry(request: Request) -> Response:
    running = request.app.state.running
    kept = await find(running.store, request.path_params["id"])
    packed = await running.store.peek(kept.entry.id)  # a look is no use: what is evicted first stays as it was
    if packed is None:
        raise nothing(kept.entry.id)
    return JSONResponse(facts(kept.entry, running.clock()) | {"bytes": kept.bytes, "answer": _answer(kept, packed)})


async def delete_entry(request: Request) -> Response:
    running = request.app.state.running
    kept = await find(running.store, request.path_params["id"])
    await running.audit.note(request, "delete", entry=kept.entry.id, entries=1, bytes=kept.bytes)
    gone = await running.erase([kept.entry.id])
    return JSONResponse({"entries": len(gone), "bytes": kept.bytes, "ids": gone})


async def find(store: Store, entry_id: str) -> Kept:
    """Raises Problem where there is none."""
    for kept in await store.entries():
        if kept.entry.id == entry_id:
            return kept
    raise nothing(entry_id)


def nothing(entry_id: str) -> Problem:
    return Problem(
        404, "no_entry", f"there is no entry {entry_id[:64]}: it was deleted, replaced or evicted, or it expired"
    )


def facts(entry: Entry, now_s: float) -> dict[str, Any]:
    """An entry as /cache/entries shows it."""
    return {
        "id": entry.id,
        "model": entry.model,
        "dialect": entry.dialect,
        "tenant": entry.tenant,
        "prompt": entry.prompts[0] if entry.prompts else None,
        "pictures": [list(size) for size in entry.sizes],
        "created_s": entry.created_s,
        "age_s": round(entry.age_s(now_s), 3),
        "expires_s": entry.expires_s,
        "upstream_s": entry.upstream_s,
        "tokens_in": entry.tokens_in,
        "tokens_out": entry.tokens_out,
        "streamed": entry.streamed,
        "space": entry.space,
    }


def _answer(kept: Kept, packed: bytes) -> str | None:
    """Its text; None where this version cannot read it (a lookup would forget it then)."""
    dialect = next((one for one in DIALECTS if one.name == kept.entry.dialect), None)
    try:
        return dialect.text(capture.unpack(packed)) if dialect else None
    except CorruptRow:
        return None

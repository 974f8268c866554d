"""/cache/import: one known answer into the store, for whoever will ask with these header fields."""

import re
from typing import Any

import anyio.to_thread
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import Problem, body, in_words
from gateway.headers import Raw
from gateway.known import completion, take
from gateway.outcome import HitClass, Outcome

_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What HTTP says of the body, and what is said here.
_NOT_GIVEN = frozenset(
    "content-length transfer-encoding content-encoding host cache-control pragma x-lookalike-mode".split()
)


class Import(BaseModel):
    """The body of POST /cache/import."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: str = Field("/v1/chat/completions", pattern=r"^/([\w.~%/-]*/)?chat/completions$")
    headers: dict[str, str] = Field(default_factory=dict, description="Of the clients that will ask: their key")
    body: dict[str, Any] = Field(description="The request, as they will send it")
    answer: str = Field(min_length=1)
    replace: bool = False

    @field_validator("headers")
    @classmethod
    def are_fields(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _FIELD.fullmatch(name) or name.lower() in _NOT_GIVEN or not (text.isascii() and text.isprintable()):
                raise ValueError("a name or a value that cannot be given")  # not repeated: it may be a key
        return value

    @field_validator("body")
    @classmethod
    def wants_one_answer(cls, value: dict[str, Any]) -> dict[str, Any]:
        if value.get("n", 1) != 1:
            raise ValueError("asks for several answers (n), and one is known")
        return value

    @property
    def fields(self) -> Raw:
        return [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]


async def import_answer(request: Request) -> Response:
    running = request.app.state.running
    # A picture in base64, in JSON, and a little more.
    raw = await body(request, running.settings.body_bytes_max)
    wanted, data = await anyio.to_thread.run_sync(_read, raw)
    model = wanted.body.get("model")
    model = model if isinstance(model, str) else ""
    await running.audit.note(request, "import", model=model[:200], replace=wanted.replace)
    reply = completion(wanted.answer, model, running.clock())
    outcome = await take(running.importer, wanted.path, wanted.fields, data, reply, wanted.replace)
    return JSONResponse(_told(outcome))


def _read(raw: bytes) -> tuple[Import, bytes]:
    """What is wanted, and the request as clients would send it."""
    try:
        wanted = Import.model_validate(orjson.loads(raw))
        return wanted, orjson.dumps(wanted.body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "not_json", f"the body is not JSON: {error}") from error
    except ValidationError as error:
        raise Problem(400, "bad_request", in_words(error)) from error


def _told(outcome: Outcome) -> dict[str, Any]:
    if outcome.hit_class.is_hit:
        return {"outcome": "kept", "why": f"there is an answer already ({outcome.hit_class})"}
    if outcome.stored:
        return {"outcome": "stored", "why": None}
    why = outcome.unstored or (outcome.reason if outcome.hit_class is HitClass.BYPASS else None) or outcome.error
    return {"outcome": "refused", "why": why or "unknown"}

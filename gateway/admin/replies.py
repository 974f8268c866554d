"""How the endpoints under /cache/ read what they are sent, and how they refuse. One shape of error for all of them."""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.plainly import place, plainly

_JSON_BYTES_MAX = 64 * 1024

Body = TypeVar("Body", bound=BaseModel)


class Problem(Exception):
    """Raised by an endpoint; access.py answers with it. `code` is one word for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def reply(self) -> Response:
        return JSONResponse({"error": {"code": self.code, "message": str(self)}}, self.status, self.headers)


async def body(request: Request, most: int) -> bytes:
    """The whole body. Raises Problem if it has more than `most` bytes."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > most:
            raise Problem(413, "too_large", f"a body of at most {most} bytes is wanted")
    return bytes(taken)


async def read(request: Request, form: type[Body]) -> Body:
    """The JSON body, as `form` has it. Raises Problem."""
    raw = await body(request, _JSON_BYTES_MAX)
    try:
        return form.model_validate(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "not_json", f"the body is not JSON: {error}") from error
    except ValidationError as error:
        raise Problem(400, "bad_request", in_words(error)) from error


def in_words(error: ValidationError) -> str:
    """What is wrong, without repeating what was sent: it may be a prompt."""
    found = [(place(one), _of_a_field(one)) for one in error.errors()]
    return "; ".join(f"{name}: {words}" if name else words for name, words in found)


def _of_a_field(problem: Mapping[str, Any]) -> str:
    return "there is no such field" if problem["type"] == "extra_forbidden" else plainly(problem)

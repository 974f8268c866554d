"""OpenAI's batch files, line by line: what is asked, and what was answered. Pure; bytes in, values out, and back.

A line is one JSON object. Reading is strict: a line that is not exactly what the format says is a `BadLine` with its
number and a sentence about it, and the others are still read, so that a user can mend a file at one go.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from gateway.dialects.strict_json import as_text, read_object
from gateway.question import Bypass, NotCacheable, Object

_REQUEST = frozenset(("custom_id", "method", "url", "body"))
_RESPONSE = frozenset(("id", "custom_id", "response", "error"))
_ANSWER = frozenset(("status_code", "request_id", "body"))
_SHOWN_MOST = 80  # characters of a user's own word in a sentence of ours
_NO_OBJECT = {
    Bypass.NOT_JSON: "is not JSON in UTF-8",
    Bypass.UNKNOWN_SHAPE: "is JSON, but not an object",
    Bypass.AMBIGUOUS_JSON: "can be read in more than one way: a key twice in one object, or a number beyond 64 bits",
    Bypass.BODY_TOO_LARGE: "has more than 4 MiB besides its long strings",
}


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A line of an input file. `body` is what would be posted to `url`; `line` counts from 1."""

    custom_id: str
    url: str
    body: Object
    line: int = 0


@dataclass(frozen=True, slots=True)
class BatchError:
    """Why a request got no response at all."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """An HTTP response, with whatever status."""

    status_code: int
    request_id: str
    body: Any


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """A line of an output or error file: an answer, or why there is none."""

    id: str
    custom_id: str
    outcome: BatchAnswer | BatchError
    line: int = 0


@dataclass(frozen=True, slots=True)
class BadLine:
    line: int
    why: str  # what is wrong, after "line n": a sentence without its subject

    def __str__(self) -> str:
        return f"line {self.line} {self.why}"


class Seen(Protocol):
    """Which ids were read, and in which line each first stood: a dict, or what holds more than memory does."""

    def setdefault(self, key: str, default: int, /) -> int: ...


class _Bad(Exception):
    """What is wrong with the line at hand."""


def read_requests(lines: Iterable[bytes], seen: Seen | None = None) -> Iterator[BatchRequest | BadLine]:
    """The lines of an input file, with or without their ends. Empty ones are counted and left out."""
    seen = {} if seen is None else seen
    for number, value in read_objects(lines):
        try:
            request = _request(_checked(value), number)
            _refuse_repeated(request.custom_id, number, seen)
            yield request
        except _Bad as bad:
            yield BadLine(number, str(bad))


def read_responses(lines: Iterable[bytes]) -> Iterator[BatchResponse | BadLine]:
    """The lines of an output or error file, in whatever order they were answered."""
    seen: dict[str, int] = {}
    for number, value in read_objects(lines):
        try:
            response = _response(_checked(value), number)
            _refuse_repeated(response.custom_id, number, seen)
            yield response
        except _Bad as bad:
            yield BadLine(number, str(bad))


def repeated(name: str, number: int, seen: Seen, what: str = "id") -> str | None:
    """What is wrong where a line before this one has its id already; None where nothing is."""
    if (first := seen.setdefault(name, number)) == number:
        return None
    return f"has the {what} {_shown(name)} of line {first}; each needs one of its own"


def write_request(request: BatchRequest) -> bytes:
    """With its end of line."""
    line = {"custom_id": request.custom_id, "method": "POST", "url": request.url, "body": request.body}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def write_response(response: BatchResponse) -> bytes:
    """With its end of line."""
    line: Object = {"id": response.id, "custom_id": response.custom_id, "response": None, "error": None}
    match response.outcome:
        case BatchAnswer(status_code, request_id, body):
            line["response"] = {"status_code": status_code, "request_id": request_id, "body": body}
        case BatchError(code, message):
            line["error"] = {"code": code, "message": message}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def read_objects(lines: Iterable[bytes]) -> Iterator[tuple[int, Object | str]]:
    """Each line's number, and its object or what is wrong with it, after "line n". Empty lines are only counted."""
    for number, line in enumerate(lines, start=1):
        # Editors put a byte order mark at the beginning of a file; nothing else may stand there.
        text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip(b" \t\r\n")
        if text:
            try:
                yield number, as_text(read_object(text))
            except NotCacheable as refusal:
                yield number, _NO_OBJECT.get(refusal.why, f"cannot be read ({refusal.why})")


def _checked(value: Object | str) -> Object:
    if isinstance(value, str):
        raise _Bad(value)
    return value


def _request(value: Object, number: int) -> BatchRequest:
    _refuse_unknown(value, _REQUEST)
    if value.get("method") != "POST":
        raise _Bad(f'has the method {_shown(value.get("method"))}; a batch has only "POST"')
    url, body = _word(value, "url"), value.get("body")
    if not url.startswith("/"):
        raise _Bad(f'has the url {_shown(url)}; it is a path, such as "/v1/chat/completions"')
    if not isinstance(body, dict):
        raise _Bad('has no "body", or one that is not an object')
    if body.get("stream"):
        raise _Bad('asks for a stream; a batch has none: leave "stream" out of the body')
    return BatchRequest(_word(value, "custom_id"), url, body, number)


def _response(value: Object, number: int) -> BatchResponse:
    _refuse_unknown(value, _RESPONSE)
    answer, error = value.get("response"), value.get("error")
    if answer is None and error is None:
        raise _Bad('has neither a "response" nor an "error"')
    outcome = _error(error) if answer is None else _answer(answer, error)
    return BatchResponse(_word(value, "id"), _word(value, "custom_id"), outcome, number)


def _answer(value: object, error: object) -> BatchAnswer:
    """vLLM writes the body of an error beside its response, which then has none."""
    if not isinstance(value, dict):
        raise _Bad('has a "response" that is not an object')
    _refuse_unknown(value, _ANSWER, 'in its "response"')
    status = value.get("status_code")
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise _Bad(f"has the status_code {_shown(status)}; it is a number from 100 to 599")
    request_id = value.get("request_id") or ""
    if not isinstance(request_id, str):
        raise _Bad(f"has the request_id {_shown(request_id)}; it is a text")
    body = value.get("body")
    if None not in (body, error):
        raise _Bad('has an "error" beside a "response" with a body; only one of them can be what came')
    return BatchAnswer(status, request_id, error if body is None else body)


def _error(value: object) -> BatchError:
    if not isinstance(value, dict):
        raise _Bad('has an "error" that is not an object')
    code, message = (value.get(name) or "" for name in ("code", "message"))
    if not isinstance(code, str) or not isinstance(message, str):
        raise _Bad('has an "error" whose code or message is not a text')
    return BatchError(code, message)


def _refuse_unknown(value: Object, known: frozenset[str], where: str = "") -> None:
    """Nothing that a user wrote is dropped in silence."""
    if unknown := sorted(value.keys() - known):
        place = f" {where}" if where else ""
        raise _Bad(f"has the field {_shown(unknown[0])}{place}, which the format does not know")


def _refuse_repeated(custom_id: str, number: int, seen: Seen) -> None:
    if why := repeated(custom_id, number, seen, "custom_id"):
        raise _Bad(why)


def _word(value: Object, name: str) -> str:
    word = value.get(name)
    if not isinstance(word, str) or not word:
        raise _Bad(f'has no "{name}", or one that is not a text')
    return word


def _shown(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}…"

"""Small rules about JSON objects that the dialects share. Pure."""

import re
from collections.abc import Collection
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import orjson

from gateway.question import Bypass, Call, Fresh, NotCacheable, Object, Question, Unstored

_SERVER_TOOLS = ("web_search_options", "enable_search", "search_options", "enable_code_interpreter")
_OWN_PREFIXES = ("chatcmpl-", "resp_", "msg_")
_ID_PREFIX = re.compile(r"[A-Za-z]+[-_]")


def without_nulls(value: Object) -> Object:
    """Some SDKs write every unset field as null; servers read null as unset. One level only: in a schema or
    a tool's arguments a null may mean something."""
    return {key: item for key, item in value.items() if item is not None}


def refuse_case_variants(body: Object, known: Collection[str]) -> None:
    """Servers written in Go read `"Stream"` as `"stream"`; others do not know it."""
    if any(key != key.lower() and key.lower() in known for key in body):
        raise NotCacheable(Bypass.AMBIGUOUS_JSON)


def refuse_search(body: Object) -> None:
    """Switches that let the upstream search or run something before it answers, OpenAI's and DashScope's."""
    if any(body.get(key) for key in _SERVER_TOOLS):
        raise NotCacheable(Bypass.SERVER_TOOLS)


def request_id(body: Object, call: Call) -> str | None:
    """The id by which the caller lets the server name its reply."""
    for value in (body.get("request_id"), body.get("rid"), call.headers.get("x-request-id")):
        if isinstance(value, str) and value:
            return value
    return None


def new_id(old: str, named: bool, question: Question, fresh: Fresh) -> str:
    """A new id for a replay, with the server's prefix. vLLM makes its ids from the caller's request id, SGLang uses
    it as it is: so does the replay. In a name that a caller chose, only a known prefix is the server's."""
    if named:
        prefix = next((prefix for prefix in _OWN_PREFIXES if old.startswith(prefix)), "")
        return prefix + (question.request_id or fresh.token)
    match = _ID_PREFIX.match(old)
    return (match[0] if match else "") + fresh.token


def is_named(old: object, question: Question) -> bool:
    """Whether the upstream built this id from the caller's."""
    return bool(question.request_id) and isinstance(old, str) and old.endswith(question.request_id or "")


def new_uuid(old: str, fresh: Fresh) -> str:
    """A new id for a replay, where the server's ids have no prefix: a UUID for a UUID."""
    try:
        UUID(old)
    except ValueError:
        return fresh.token
    return str(uuid5(NAMESPACE_OID, fresh.token))


def with_new(value: Object, new: Object) -> Object:
    """With those of `new`'s fields that are there already, in their place."""
    return {key: new.get(key, item) for key, item in value.items()}


def read_event(data: str) -> Object | None:
    """The object that one event of a stream consists of; None for an error. Raises ValueError if it is none."""
    value = read_reply(data)
    if value is Unstored.MALFORMED:
        raise ValueError("an event that is no object")
    return None if isinstance(value, Unstored) else value


def count(value: Any) -> int | None:
    """A number of tokens, or None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def is_error(value: Object) -> bool:
    """An error object: nested (OpenAI, Anthropic), flat (SGLang), or a code with a message (DashScope)."""
    flat = "choices" not in value and "message" in value and "code" in value
    return value.get("error") is not None or value.get("object") == "error" or flat


def openai_error(status: int, code: str, message: str) -> bytes:
    """An error of ours in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "api_error"
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def read_reply(data: bytes | str) -> Object | Unstored:
    """The JSON object that a reply, or one event of it, consists of."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Unstored.MALFORMED
    if not isinstance(value, dict):
        return Unstored.MALFORMED
    return Unstored.ERROR_IN_REPLY if is_error(value) else value

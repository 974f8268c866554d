"""A request body as JSON, or a reason to leave it alone. Pure.

Servers disagree about what a body with duplicate keys or numbers beyond 64 bits means, so such a body
has no one meaning to key by. Pictures make bodies large: the strict reading is done on a skeleton
from which long strings are cut, the values are read by orjson.
"""

import json
from typing import Any

import orjson

from gateway.question import Bypass, NotCacheable, Object

_LONG_STRING_BYTES = 2048
_INTEGER_DIGITS_MAX = 18  # fits 64 bits; longer ones would be rounded and could share a key


def read_object(body: bytes) -> Object:
    """The JSON object in `body`. Raises NotCacheable unless there is exactly one way to read it."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotCacheable(Bypass.NOT_JSON) from None
    if not isinstance(value, dict):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    _refuse_ambiguity(body)
    return value


def _refuse_ambiguity(body: bytes) -> None:
    try:
        json.loads(_skeleton(body), object_pairs_hook=_unique, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError):
        raise NotCacheable(Bypass.AMBIGUOUS_JSON) from None


def _skeleton(body: bytes) -> bytes:
    """The body with the inside of long strings cut out. Between two quotes there is no key to lose: what is cut
    holds no quote, and a cut that is not inside a string leaves something that does not parse."""
    pieces = body.split(b'"')
    # A piece that ends in a backslash runs into an escaped quote: keep it, it is one string with the next.
    return b'"'.join(b"" if len(p) > _LONG_STRING_BYTES and not p.endswith(b"\\") else p for p in pieces)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _INTEGER_DIGITS_MAX:
        raise ValueError("integer beyond 64 bits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("number beyond a double")
    return value

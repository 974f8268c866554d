"""A request body as JSON, or a reason to leave it alone. Pure.

Servers disagree about what a body with duplicate keys or numbers beyond 64 bits means, so such a body
has no one meaning to key by. Pictures make bodies large, so long strings are cut out first: what is
left is small, and is read twice, for its values and for its faults. A picture's data URL is never
turned into a string: it stays a view of the body's bytes.
"""

import json
import re
import secrets
from typing import Any

import orjson

from gateway.question import Bypass, NotCacheable, Object

_LONG_STRING_BYTES = 2048
# Besides its long strings. Small values take twenty times their bytes as objects; no question has as many.
_REST_BYTES_MAX = 4 * 2**20
_DEPTH_MAX = 200  # parsers differ in how deep they go; no question is nested like this
_INTEGER_DIGITS_MAX = 18  # fits 64 bits; longer ones would be rounded and could share a key
# Stands for a string that was cut out. Nobody outside this process can know it, so no body can contain it.
_MARK = secrets.token_hex(16)
_QUOTE, _BACKSLASH = b'"', ord("\\")
# Where pictures stand; anywhere else a data URL is text like any other.
_PICTURE_KEYS = frozenset(("url", "image_url", "image"))
# The head of one. What comes after the comma is base64 or no picture; the head could hold what is no text at all.
_DATA_URL = re.compile(rb"data:[\x20-\x7e]{0,300}?,", re.IGNORECASE)


def read_object(body: bytes) -> Object:
    """The JSON object in `body`, with memoryviews for long data URLs of pictures. Raises NotCacheable unless
    there is exactly one way to read it."""
    skeleton, cut = _cut(body)
    try:
        value = _read(skeleton)
    except NotCacheable:
        if not cut:
            raise
        # A cut that was not inside a string, or a very long key: rare, so read the whole body instead.
        value, cut = _read(_text(body)), []
    mended: Object = _mended(value, body, cut)
    return mended


def as_text(value: Any) -> Any:
    """The value with every data URL that is nobody's picture as the text that it is, so that it can be a key."""
    match value:
        case dict():
            return {name: as_text(item) for name, item in value.items()}
        case list():
            return [as_text(item) for item in value]
        case memoryview():
            return _unescaped(bytes(value))
        case _:
            return value


def _read(text: str) -> Object:
    if len(text) > _REST_BYTES_MAX:
        raise NotCacheable(Bypass.BODY_TOO_LARGE)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotCacheable(Bypass.NOT_JSON) from None
    if not isinstance(value, dict):
        raise NotCacheable(Bypass.UNKNOWN_SHAPE)
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError):
        raise NotCacheable(Bypass.AMBIGUOUS_JSON) from None
    return value


def _cut(body: bytes) -> tuple[str, list[slice]]:
    """The body with a mark in place of each long string, and where those were. Between two quotes there is no key
    to lose; a cut that was not inside a string leaves something that is not JSON."""
    cut: list[slice] = []
    kept: list[bytes] = []
    start, opening = 0, body.find(_QUOTE)
    while (closing := body.find(_QUOTE, opening + 1)) >= 0 <= opening:
        # Next to a backslash, a quote may be an escaped one in the middle of a string: leave that string alone.
        plain = body[closing - 1] != _BACKSLASH and (opening == 0 or body[opening - 1] != _BACKSLASH)
        if closing - opening > _LONG_STRING_BYTES and plain:
            kept += [body[start : opening + 1], f"{_MARK}{len(cut)}".encode()]
            cut.append(slice(opening + 1, closing))
            start = closing
        opening = closing
    return _text(b"".join([*kept, body[start:]])), cut


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NotCacheable(Bypass.NOT_JSON) from None


def _mended(value: Any, body: bytes, cut: list[slice], key: str = "", depth: int = 0) -> Any:
    if depth > _DEPTH_MAX:
        raise NotCacheable(Bypass.AMBIGUOUS_JSON)
    if isinstance(value, dict):
        return {name: _mended(item, body, cut, name, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_mended(item, body, cut, depth=depth + 1) for item in value]
    if isinstance(value, str) and value.startswith(_MARK):
        return _restored(body, cut[int(value.removeprefix(_MARK))], key)
    return value


def _restored(body: bytes, place: slice, key: str) -> str | memoryview:
    is_url = key in _PICTURE_KEYS and _DATA_URL.match(body, place.start, place.stop) is not None
    if is_url and body.find(b"\\", place.start, place.stop) < 0:
        return memoryview(body)[place]
    return _unescaped(body[place])


def _unescaped(string: bytes) -> str:
    try:
        text: str = orjson.loads(b'"' + string + b'"')
    except orjson.JSONDecodeError:
        raise NotCacheable(Bypass.NOT_JSON) from None
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) or any(key.startswith(_MARK) for key in found):
        raise ValueError("duplicate key, or a key too long to compare")
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

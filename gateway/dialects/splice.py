"""Other strings in the place of some strings of a JSON body, every other byte as it was. Pure.

The body has been read before and found to be JSON (see strict_json.py): outside a string, a quote begins one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import orjson

_QUOTE, _BACKSLASH = b'"', b"\\"
_ESCAPED_MOST = 6  # bytes that JSON may take to write one byte of UTF-8: \u0041


def spliced(body: bytes, places: Sequence[str], new: Mapping[str, bytes]) -> bytes | None:
    """The body with `new[url]`, which no escape is needed for, in each place of a `url`. `places` names every URL as
    often as it is to be replaced; None where it stands elsewhere too, as in a prompt: which are meant is not known."""
    wanted = Counter(url for url in places if url in new)
    kept: list[bytes] = []
    start = 0
    for place, url in _strings(body, wanted):
        wanted[url] -= 1
        kept += [body[start : place.start], new[url]]
        start = place.stop
    return b"".join([*kept, body[start:]]) if not any(wanted.values()) else None


def _strings(body: bytes, wanted: Counter[str]) -> Iterator[tuple[slice, str]]:
    """Each string that is one of the URLs, and its place between the quotes. Pictures are long: what lies between two
    quotes is skipped in one step."""
    plain = {url.encode(): url for url in wanted}
    longest = _ESCAPED_MOST * max(map(len, plain), default=0)
    opening = body.find(_QUOTE)
    while opening >= 0:
        closing = _closing(body, opening + 1)
        place = slice(opening + 1, closing)
        if place.stop - place.start <= longest:
            text = body[place]
            url = plain.get(text) if _BACKSLASH not in text else _unescaped(text)
            if url is not None and url in wanted:
                yield place, url
        opening = body.find(_QUOTE, closing + 1)


def _closing(body: bytes, start: int) -> int:
    """Where the string that starts there ends: at the first quote that no backslash escapes."""
    closing = body.index(_QUOTE, start)
    while _is_escaped(body, closing):
        closing = body.index(_QUOTE, closing + 1)
    return closing


def _is_escaped(body: bytes, place: int) -> bool:
    backslashes = 0
    while body[place - 1 - backslashes] == _BACKSLASH[0]:
        backslashes += 1
    return backslashes % 2 == 1


def _unescaped(text: bytes) -> str:
    decoded: str = orjson.loads(b'"' + text + b'"')
    return decoded

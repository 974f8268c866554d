"""Other strings in the place of some strings of a JSON body, every other byte as it was. Pure.

The body has been read before and found to be JSON (see strict_json.py): outside a string, a quote begins one.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import orjson

_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_ESCAPED_MOST = 6  # bytes that JSON may take to write one byte of UTF-8: \u0041


def spliced(body: bytes, places: Sequence[str], new: Mapping[str, bytes]) -> bytes | None:
    """The body with `new[url]` (to need no escape in JSON) in each place of a `url`. `places` names every URL once
    for each place; None where it stands in more of them than that, as in the prompt: which are meant is not known."""
    wanted = Counter(url for url in places if url in new)
    kept: list[bytes] = []
    start = 0
    for place, url in _strings(body, wanted):
        wanted[url] -= 1
        kept += [body[start : place.start], new[url]]
        start = place.stop
    return b"".join([*kept, body[start:]]) if not any(wanted.values()) else None


def _strings(body: bytes, wanted: Counter[str]) -> Iterator[tuple[slice, str]]:
    plain = {url.encode(): url for url in wanted}
    longest = _ESCAPED_MOST * max(map(len, plain), default=0)
    for found in _STRING.finditer(body):
        if found.end(1) - found.start(1) > longest:
            continue
        text = found[1]
        url = plain.get(text) if b"\\" not in text else _unescaped(text)
        if url is not None and url in wanted:
            yield slice(*found.span(1)), url


def _unescaped(text: bytes) -> str:
    decoded: str = orjson.loads(b'"' + text + b'"')
    return decoded

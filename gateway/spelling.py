"""A reference in a request to a picture: the file that is spelt out in it, or where else it is. Pure.

A spelling is read if a server that is known reads it: a data URL with base64, whatever its media type, line breaks
and padding, and base64 alone. No server undoes percent-encoding or knows the alphabet of base64url, so neither is
read here: whatever the upstream makes of them is not kept.
"""

import re
from typing import Final

import pybase64

from gateway.pictures import Picture, is_marked
from gateway.question import Bypass, NotCacheable, PictureRef

_DATA_URL: Final = re.compile(rb"data:[^,]{0,200};base64,", re.IGNORECASE)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
# Shorter, and it may be a name: no picture file is this small.
_BASE64_ALONE: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


def is_on_the_web(ref: PictureRef) -> bool:
    """Whether it is an http(s) URL."""
    return isinstance(ref.url, str) and _WEB.match(ref.url) is not None


def load(ref: PictureRef) -> Picture:
    """The file that the reference spells out. Raises NotCacheable if it is somewhere else, or cannot be read."""
    url = ref.url if isinstance(ref.url, memoryview) else memoryview(ref.url.encode("utf-8", "surrogatepass"))
    head = _DATA_URL.match(url)
    if head is None and bytes(url[:5]).lower() == b"data:":
        raise NotCacheable(Bypass.PICTURE_UNREADABLE)
    if head is None:
        return _alone(ref.url)
    # Inside JSON, a line break that is not escaped is no JSON: where the raw bytes are read, it is no white space.
    white_space = b" " if isinstance(ref.url, memoryview) else b" \t\r\n"
    data = _base64(url[head.end() :], white_space)
    if not data:
        raise NotCacheable(Bypass.PICTURE_UNREADABLE)
    return Picture.of(data)


def _alone(text: str | memoryview) -> Picture:
    """Base64 without `data:`, as llama.cpp and SGLang take it where a URL is expected. Paths and ids look alike, so
    it has to be flawless and the beginning of a picture."""
    if isinstance(text, str) and _BASE64_ALONE.fullmatch(text) and len(text) % 4 == 0:
        data = pybase64.b64decode(text, validate=True)
        if is_marked(data):
            return Picture.of(data)
    raise NotCacheable(Bypass.PICTURE_BY_REFERENCE)


def _base64(text: memoryview, white_space: bytes) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    plain = bytes(text).translate(None, white_space).rstrip(b"=")
    try:
        return pybase64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise NotCacheable(Bypass.PICTURE_UNREADABLE) from None

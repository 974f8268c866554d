"""A view as bytes: what is kept on disk of a stored picture, so that later pictures can be compared with it.

Drawn pictures (few colours, flat ground) are kept losslessly where that is small, all others as JPEG, photos at the
size at which photos are compared. The loss adds to the noise of every later comparison, so it is kept well below
the noise of an everyday copy. Bytes only; nothing here decides.
"""

import struct

import cv2
import numpy as np

from cache.guard.pixels import Rgb, as_bytes, gray, shrink
from cache.guard.text import is_document
from cache.guard.view import VIEW_SIDE_MAX, View

_MAGIC = b"LKE1"
_HEADER = struct.Struct(">4sII")  # magic, width and height of the upright picture

# Longest side at which photos are compared, pixels; text-free pictures gain nothing above.
PHOTO_SIDE_MAX = 1024
# Share of horizontal neighbours that are equal, above which a picture was drawn by a machine and never went through
# JPEG. There lossless is both smaller and faster than JPEG.
_DRAWN_SHARE = 0.8
_PHOTO_QUALITY = 77
_DOCUMENT_QUALITY = 92


def encode(view: View, bytes_max: int | None = None) -> bytes:
    """`view` as compact bytes for `decode`."""
    rgb = view.rgb
    if _is_drawn(rgb):
        return _pack(view, rgb, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 2])
    if is_document(gray(rgb)):
        # 4:4:4: colour blurred by 4:2:0 on fine coloured lines is what stops most good copies of documents.
        return _pack(view, rgb, ".jpg", _jpeg(_DOCUMENT_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))
    small = shrink(rgb, PHOTO_SIDE_MAX)
    return _pack(view, small, ".jpg", _jpeg(_PHOTO_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420))


def decode(data: bytes) -> View:
    """The view that `encode` was given, but for the loss of compression. ValueError if it is not evidence."""
    if len(data) <= _HEADER.size:
        raise ValueError("not evidence: too short")
    magic, width, height = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("not evidence of this version")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8, offset=_HEADER.size), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError("evidence that does not decode") from error
    if bgr is None:
        raise ValueError("evidence that does not decode")
    if max(bgr.shape[:2]) > VIEW_SIDE_MAX or bgr.shape[0] > height or bgr.shape[1] > width:
        raise ValueError("evidence of an impossible size")
    return View(as_bytes(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)), width, height)


def _pack(view: View, rgb: Rgb, suffix: str, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("view that does not encode")
    return _HEADER.pack(_MAGIC, view.width, view.height) + data.tobytes()


def _jpeg(quality: int, sampling: int) -> list[int]:
    return [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]


def _is_drawn(rgb: Rgb) -> bool:
    if rgb.shape[1] < 2:
        return True
    rows = rgb[:: max(1, rgb.shape[0] // 200)]  # some 200 rows tell enough
    equal = np.all(rows[:, 1:] == rows[:, :-1], axis=2)
    return float(equal.mean()) >= _DRAWN_SHARE

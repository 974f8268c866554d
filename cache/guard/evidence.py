"""A view as bytes: what is kept on disk of a stored picture, so that later pictures can be compared with it.

Drawn pictures (few colours, flat ground) are kept losslessly where that is small, photos as WebP, smaller where they
have no fine print, all others as JPEG. The loss adds to the noise of every later comparison, so it is kept
well below the noise of an everyday copy. Bytes only; nothing here decides.
"""

import struct
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from cache.guard.blocks import Steps
from cache.guard.judge import compare
from cache.guard.pixels import Rgb, as_bytes, gray, shrink
from cache.guard.text import is_document
from cache.guard.view import PHOTO_SIDE_MAX, VIEW_SIDE_MAX, View
from cache.guard.writing import writing_in
from cache.verdict import Same

_MAGIC = b"LKE2"
_HEADER = struct.Struct(">4sII?128s")  # magic, size of the upright picture, hides_writing, 64 JPEG steps or zeros

# Print that this size of photos makes smaller than so many pixels is fine print: at least so many signs of labels.
_PRINT_MIN_PX, _PRINT_SIGNS_MIN = 12, 5
# Share of horizontal neighbours that are equal, above which a picture was drawn by a machine and never went through
# JPEG. There lossless is both smaller and faster than JPEG.
_DRAWN_SHARE = 0.8
# Bytes of one picture. Documents of 1,600 px take 147 KB at the median, photos 55.
BYTES_MAX = 200_000

_PNG = b"\x89PNG"
_FORMATS = ("PNG", "WEBP", "JPEG")
_AS_IT_LIES = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # what is kept is upright, and has no EXIF

_Form = tuple[str, list[int], float]  # file type, its options, share of the side
_LOSSLESS: _Form = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 2], 1.0)
# As JPEG of quality 77, in 60 % of its bytes; made while the upstream works, so its 50 ms cost nobody anything.
_PHOTO: _Form = (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80], 1.0)


def _document(quality: int, share: float = 1.0) -> _Form:
    # 4:4:4: colour blurred by 4:2:0 on fine coloured lines is what stops most good copies of documents.
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    return ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling], share


# What is tried in turn until it fits: noise first, then detail. What is lost makes near hits rarer, never wrong.
_DOCUMENT = (_document(92), _document(85), _document(78), _document(78, 0.8), _document(78, 0.6))
_SMALLER = tuple(_document(60, 0.5**halvings) for halvings in range(12))


def encode(view: View, bytes_max: int = BYTES_MAX) -> bytes:
    """`view` as compact bytes for `decode`, at most `bytes_max` where a picture can be that small."""
    if _is_drawn(view.rgb):
        rgb, forms = view.rgb, [_LOSSLESS, *_DOCUMENT]
    elif is_document(gray(view.rgb)):
        rgb, forms = view.rgb, [*_DOCUMENT]
    else:
        if _has_fine_print(view.rgb) and (data := _fine_print(view, bytes_max)) is not None:
            return data
        rgb, forms = shrink(view.rgb, PHOTO_SIDE_MAX), [_PHOTO]
    data = b""
    for form in (*forms, *_SMALLER):
        data = _pack(view, rgb, form)
        if len(data) <= bytes_max:
            break
    return data


def decode(data: bytes) -> View:
    """The view that `encode` was given, but for the loss of compression. ValueError if it is not evidence."""
    if len(data) <= _HEADER.size:
        raise ValueError("not evidence: too short")
    magic, width, height, hides_writing, steps = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("not evidence of this version")
    file = data[_HEADER.size :]
    rgb = _decoded(file, (width, height))
    return View(as_bytes(rgb), width, height, _steps_of(steps), hides_writing, is_exact=file.startswith(_PNG))


def _decoded(file: bytes, most: tuple[int, int]) -> Rgb:
    """The picture in `file`, which may be no larger than `most`. Its header is read first: OpenCV would make room for
    a gigapixel before anybody could refuse. PNG is left to Pillow altogether: OpenCV believes later headers, too."""
    try:
        with Image.open(BytesIO(file), formats=_FORMATS) as image:
            size = image.size
            if max(size) > VIEW_SIDE_MAX or size[0] > most[0] or size[1] > most[1]:
                raise ValueError("evidence of an impossible size")
            if image.format == "PNG":
                return np.asarray(image.convert("RGB"))
        bgr = cv2.imdecode(np.frombuffer(file, np.uint8), _AS_IT_LIES)
    except ValueError:
        raise
    except Exception as error:  # Pillow raises anything at all on a broken file
        raise ValueError("evidence that does not decode") from error
    if bgr is None or bgr.shape[1::-1] != size:
        raise ValueError("evidence that does not decode")
    return as_bytes(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _pack(view: View, rgb: Rgb, form: _Form) -> bytes:
    suffix, options, share = form
    small = shrink(rgb, max(1, round(max(rgb.shape[:2]) * share)))
    done, data = cv2.imencode(suffix, cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("view that does not encode")
    steps = np.zeros((8, 8)) if view.steps is None else view.steps
    return (
        _HEADER.pack(_MAGIC, view.width, view.height, view.hides_writing, steps.astype(">u2").tobytes())
        + data.tobytes()
    )


def _steps_of(data: bytes) -> Steps | None:
    steps = np.frombuffer(data, ">u2").reshape(8, 8).astype(np.float32)
    return steps if steps.all() else None


def _fine_print(view: View, bytes_max: int) -> bytes | None:
    """A photo at full size, in the smallest form that fits and in which the picture itself is recognised: coloured
    print often is not, once its colour is blurred."""
    for form in (_PHOTO, *_DOCUMENT[1:3]):
        data = _pack(view, view.rgb, form)
        if len(data) <= bytes_max and isinstance(compare(decode(data), view), Same):
            return data
    return None


def _has_fine_print(rgb: Rgb) -> bool:
    shrunk = max(rgb.shape) / PHOTO_SIDE_MAX
    writing = writing_in(gray(rgb)) if shrunk > 1 else None
    return writing is not None and int((writing.size < shrunk * _PRINT_MIN_PX).sum()) >= _PRINT_SIGNS_MIN


def _is_drawn(rgb: Rgb) -> bool:
    if rgb.shape[1] < 2:
        return True
    rows = rgb[:: max(1, rgb.shape[0] // 200)]  # some 200 rows tell enough
    equal = np.all(rows[:, 1:] == rows[:, :-1], axis=2)
    return float(equal.mean()) >= _DRAWN_SHARE

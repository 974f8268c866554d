"""A working copy of a picture: what the guard looks at, and all that it may know of a picture.

A copy is at most `VIEW_SIDE_MAX` long; it remembers how large the picture was, because detail that the copy
cannot show is a reason for doubt. Only shrinking happens here; bytes are in evidence.py.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.blocks import Steps
from cache.guard.pixels import Rgb, as_plane, gray, shrink
from cache.guard.reencoding import Encoding
from cache.guard.sharpness import DETAIL_LEVELS, lost_detail
from cache.guard.text import is_document
from cache.guard.writing import HEIGHT_MIN_PX, largest_near, writing_in

# Longest side of a working copy, pixels. Text must stay 8-9 px high for a changed stroke to show: of documents
# with one changed digit, benign copies were recognised in 54 % at 768 px, 79 % at 1024 px and 90 % at 1600 px.
VIEW_SIDE_MAX = 1600
# ... and at which photos are kept and compared; text-free pictures gain nothing above.
PHOTO_SIDE_MAX = 1024

# A copy that was shrunk by less shows all that the picture does; fewer signs than this are dots and specks.
_SHRUNK_MAX, _HIDDEN_MIN = 1.15, 5

# JPEG leaves +-2 levels on one flat colour; anything that a person can see has more.
_UNIFORM_SPREAD_MAX = 8


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A working copy of an upright picture of `width` by `height` pixels."""

    rgb: NDArray[np.uint8]  # (h, w, 3), longest side <= VIEW_SIDE_MAX
    width: int
    height: int
    steps: Steps | None = None  # if it came as a JPEG file, upright: by how much that file rounded
    hides_writing: bool = False  # a document with print that is too small to be seen in this copy
    is_exact: bool = True  # none of its pixels was lost to the compression that it was kept with
    encoding: Encoding | None = None  # of that JPEG file; known of pictures that arrive, not kept of stored ones


def view_of(
    rgb: NDArray[Any], size: tuple[int, int], steps: Steps | None = None, encoding: Encoding | None = None
) -> View:
    """The view of a decoded upright picture whose full size is `size`, (width, height).

    `rgb` may be smaller than `size` where the decoder has shrunk it, but not below `VIEW_SIDE_MAX`.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"not an RGB picture of bytes: {rgb.dtype} {rgb.shape}")
    width, height = size
    whole = np.ascontiguousarray(rgb)
    small = shrink(whole, VIEW_SIDE_MAX)
    hides = _hides_writing(whole, small)
    return View(small, max(width, small.shape[1]), max(height, small.shape[0]), steps, hides, encoding=encoding)


def _hides_writing(whole: Rgb, small: Rgb) -> bool:
    """Whether a document has print that its working copy is too small to show: it could change there unseen. Print
    that was enlarged, or is not sharp, is not lost with the pixels."""
    shrunk = max(whole.shape) / max(small.shape)
    if shrunk <= _SHRUNK_MAX or not is_document(gray(small)):
        return False
    luma = gray(whole)
    writing = writing_in(luma)
    tiny = writing.of(writing.size < shrunk * HEIGHT_MIN_PX) if writing else None
    if tiny is None or len(tiny) < _HIDDEN_MIN:
        return False
    lost = largest_near(as_plane(lost_detail(luma, shrunk)), tiny, 1.0)
    return int((lost > DETAIL_LEVELS).sum()) >= _HIDDEN_MIN


def same_pixels(one: View, other: View) -> bool:
    """One picture down to the last bit, as far as the views can tell."""
    same_size = (one.width, one.height) == (other.width, other.height)
    return same_size and np.array_equal(one.rgb, other.rgb)


def side(view: View) -> int:
    """The shorter side of what the guard can look at, pixels."""
    return int(min(view.rgb.shape[:2]))


def is_uniform(view: View) -> bool:
    """No structure at all: every colour channel within a few levels."""
    rgb = view.rgb
    if int(np.ptp(rgb[::16, ::16, 1])) > _UNIFORM_SPREAD_MAX:  # almost every picture, at almost no cost
        return False
    low, high = (cv2.reduce(cv2.reduce(rgb, 0, how), 1, how) for how in (cv2.REDUCE_MIN, cv2.REDUCE_MAX))
    return int(np.max(cv2.subtract(high, low))) <= _UNIFORM_SPREAD_MAX

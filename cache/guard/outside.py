"""What lies outside the part that both pictures show: nothing may be there that an answer could be about.

What the asked picture shows beyond the stored one (a status bar, a caption) was never answered for. What the stored
picture alone shows was: a document may lose blank paper only (a crop can remove the line of the total, or the very
digit that was changed); a photo may lose a narrow margin.
"""

import numpy as np

from cache.guard.pixels import Rgb, shrink
from cache.guard.placement import Box
from cache.verdict import Doubt

_STRIP_MIN = 0.004  # of a side: narrower strips are rounding, not content
_PHOTO_LOSS_MAX = 0.07  # of a side: a crop by 5 % and rounding
_BUSY_LEVELS = 30  # a pixel this far from its strip's median is content
_ADDED_BUSY_MAX = 3  # pixels: what compression leaves beside an edge
_STRIP_SIDE = 768  # longest side at which strips are looked at, pixels


def doubt_outside(stored: Rgb, asked: Rgb, seen: Box, place: Box, document: bool) -> Doubt | None:
    """`seen` is the overlap in the stored picture, `place` the same overlap in the asked one."""
    loss, gain = max(seen.margins()), max(place.margins())
    lost = _busy_px(stored, seen) if loss > _STRIP_MIN else 0
    if gain > _STRIP_MIN and _busy_px(asked, place) > _ADDED_BUSY_MAX:
        return Doubt.CONTENT_ADDED
    if loss > _PHOTO_LOSS_MAX and lost > 0:
        return Doubt.CONTENT_LOST
    if document and lost > 0:
        return Doubt.CONTENT_LOST
    # Lost on one side and gained on another: the frame was moved, which no copy does.
    if lost > 0 and gain > _STRIP_MIN:
        return Doubt.GEOMETRY
    return None


def _busy_px(rgb: Rgb, box: Box) -> int:
    """How many pixels beyond `box` differ from the colour of the strip they lie in."""
    small = shrink(rgb, _STRIP_SIDE)
    height, width = small.shape[:2]
    left, right = max(0, round(box.left * width) - 1), min(width, round(box.right * width) + 1)
    top, bottom = max(0, round(box.top * height) - 1), min(height, round(box.bottom * height) + 1)
    strips = (small[:, :left], small[:, right:], small[:top], small[bottom:])
    return sum(_busy_in(strip) for strip in strips if strip.size)


def _busy_in(strip: Rgb) -> int:
    flat = strip.reshape(-1, 3).astype(np.int16)
    away = np.abs(flat - np.median(flat, axis=0).astype(np.int16)).max(axis=1)
    return int((away > _BUSY_LEVELS).sum())

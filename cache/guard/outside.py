"""What lies outside the part that both pictures show: nothing may be there that an answer could be about.

What the asked picture shows beyond the stored one (a status bar, a caption) was never answered for. What the stored
picture alone shows was: a document may lose no mark that ends there (a crop can remove the line of the total, or the
very digit that was changed); a photo may lose a narrow margin.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Rgb, shrink
from cache.guard.placement import Box
from cache.verdict import Doubt

_STRIP_MIN = 0.004  # of a side: narrower strips are rounding, not content
_PHOTO_LOSS_MAX = 0.07  # of a side: a crop by 5 % and rounding
_BUSY_LEVELS = 30  # a pixel this far from its strip's median is content
_ADDED_BUSY_MAX = 3  # pixels: what compression leaves beside an edge
# A mark is still seen if it reaches this many times the depth of the lost strip, and some pixels more, inwards.
_REACH, _REACH_MORE_PX = 4, 16
_FRAME_SHARE = 0.8  # of a side: a line that long is a frame
_MARK_MIN_PX = 4  # of the working copy: smaller ones are the specks of a scan; signs that small are not read
_STRIP_SIDE = 768  # longest side at which strips are looked at, pixels


def doubt_outside(stored: Rgb, asked: Rgb, seen: Box, place: Box, document: bool) -> Doubt | None:
    """`seen` is the overlap in the stored picture, `place` the same overlap in the asked one."""
    loss, gain = max(seen.margins()), max(place.margins())
    if gain > _STRIP_MIN and sum(map(_busy_px, _strips(asked, place))) > _ADDED_BUSY_MAX:
        return Doubt.CONTENT_ADDED
    if loss <= _STRIP_MIN:
        return None
    lost = sum(map(_busy_px, _strips(stored, seen)))
    if loss > _PHOTO_LOSS_MAX and lost > 0:
        return Doubt.CONTENT_LOST
    if document and lost > 0 and _loses_something(stored, seen):
        return Doubt.CONTENT_LOST
    # Lost on one side and gained on another: the frame was moved, which no copy does.
    if lost > 0 and gain > _STRIP_MIN:
        return Doubt.GEOMETRY
    return None


def _strips(rgb: Rgb, box: Box) -> tuple[Rgb, ...]:
    """What lies beyond `box` at the left, right, top and bottom."""
    small = shrink(rgb, _STRIP_SIDE)
    height, width = small.shape[:2]
    left, right = max(0, round(box.left * width) - 1), min(width, round(box.right * width) + 1)
    top, bottom = max(0, round(box.top * height) - 1), min(height, round(box.bottom * height) + 1)
    return small[:, :left], small[:, right:], small[:top], small[bottom:]


def _busy_px(strip: Rgb) -> int:
    """How many pixels of a strip differ from its own colour."""
    return int(_busy(strip, strip).sum()) if strip.size else 0


def _busy(part: Rgb, ground: Rgb) -> NDArray[np.bool_]:
    colour = np.median(ground.reshape(-1, 3), axis=0).astype(np.int16)
    return np.asarray(np.abs(part.astype(np.int16) - colour).max(axis=2) > _BUSY_LEVELS)


def _loses_something(stored: Rgb, seen: Box) -> bool:
    """Whether a mark lies wholly or mostly in what was lost. What reaches far into the part that both pictures show
    (a bar, a frame, the table that a receipt lies on) is still seen there."""
    height, width = stored.shape[:2]
    sides = (
        (stored, round(seen.left * width)),
        (stored[:, ::-1], round((1 - seen.right) * width)),
        (stored.transpose(1, 0, 2), round(seen.top * height)),
        (stored[::-1].transpose(1, 0, 2), round((1 - seen.bottom) * height)),
    )
    return any(_marks_lost(np.ascontiguousarray(lines), depth) for lines, depth in sides if depth > 0)


def _marks_lost(picture: Rgb, depth: int) -> bool:
    """Whether marks in the first `depth` columns end within a few times that depth."""
    reach = min(picture.shape[1], _REACH * depth + _REACH_MORE_PX)
    busy = _busy(picture[:, :reach], picture[:, :depth]).astype(np.uint8)
    count, labels, found, _ = cv2.connectedComponentsWithStats(busy, connectivity=8)
    touched = np.zeros(count, bool)
    touched[np.unique(labels[:, :depth])] = True
    touched[np.unique(labels[:, -1])] = False
    touched[np.maximum(found[:, cv2.CC_STAT_WIDTH], found[:, cv2.CC_STAT_HEIGHT]) < _MARK_MIN_PX] = False
    touched[found[:, cv2.CC_STAT_HEIGHT] >= _FRAME_SHARE * picture.shape[0]] = (
        False  # the paper and lines along its edge
    )
    return bool(touched.any())

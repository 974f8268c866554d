"""The writing in a picture, sign by sign, and how much the smallest readable change of each would show.

A decimal point is a spot as wide as the strokes around it, and the tail of a comma is hardly less: no readable
change is smaller. Its ink (levels times pixels) follows from the stroke's width and contrast, wherever the writing
is looked at and however much it was shrunk or blurred on the way; so does the difference that it would make.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Gray, Plane, as_bytes, shrink
from cache.guard.placement import Placement

Values = NDArray[np.float32]  # one per sign
Whole = NDArray[np.int32]

_CONTRAST = 26  # levels by which a sign stands out from its ground
_GROUND_SIDE_PX = 9  # at half size: wider than any stroke of signs of the sizes that matter
HEIGHT_MIN_PX, _HEIGHT_MAX_PX = 4, 70
_LENGTH_MAX = 5  # heights: letters that touch are one sign
_FILLED_MIN, _FILLED_MAX = 0.12, 0.92  # of the box around it
_SIGNS_MIN, _SIGNS_MAX = 15, 65535  # fewer are no writing, more are texture

# Signs stand together that are within this many heights of each other, and no more than so many pixels.
_APART, _APART_MAX_PX = 0.8, 24
_TOGETHER_MIN = 3  # fewer are spots
_FAINT = 0.25  # a sign counts as the fainter ones that it stands with: a single one is measured badly
# Strokes of writing are 0.09 to 0.22 of a sign's size and stand out by 60 levels and more; the spots that texture
# makes are 0.25 to 0.7 and 25 to 45. Signs too small for their strokes to be told apart pass for writing.
_PLUMP, _BLOB_PX, _CONTRAST_MIN = 0.27, 9, 45

_SMALLEST = 0.7  # of a spot as wide as a stroke: the tail of a comma
_SMOOTHING = 0.75  # sigma, pixels: how differences are smoothed before they are looked at
_SAMPLING = 0.35

_PER_LEVEL = 4  # near a sign, a difference is told to a quarter of a level, up to 63
_REACH = 1.6  # of a sign's size: what lies between it and the next belongs to it


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """Signs of one picture. Places are shares of the picture's sides, sizes pixels of its view."""

    x: Values
    y: Values
    size: Values  # the longer side
    stroke: Values  # width of its strokes
    contrast: Values  # levels

    def __len__(self) -> int:
        return len(self.x)

    def moved(self, placement: Placement) -> "Writing":
        """The same signs in the picture that the placement leads to."""
        x, y = placement.scale_x * self.x + placement.shift_x, placement.scale_y * self.y + placement.shift_y
        return Writing(_values(x), _values(y), self.size, self.stroke, self.contrast)

    def inside(self) -> "Writing":
        return self.of((self.x >= 0) & (self.x <= 1) & (self.y >= 0) & (self.y <= 1))

    def of(self, which: NDArray[np.bool_]) -> "Writing":
        return Writing(*(values[which] for values in (self.x, self.y, self.size, self.stroke, self.contrast)))

    def ink(self, scale: float) -> Values:
        """Of the smallest readable change, levels times pixels of a frame `scale` times the size of the view."""
        return _values(_SMALLEST * np.square(self.stroke * np.float32(scale)) * self.contrast)

    def smallest_change(self, scale: float, blur_px: float) -> Values:
        """Levels that the smallest readable change of each sign would differ by, at its middle, once smoothed, in a
        frame `scale` times the size of the view and blurred by `blur_px`."""
        wide = np.square(self.stroke * np.float32(scale)) / 12
        spread = _SMOOTHING**2 + _SAMPLING**2 + blur_px**2 + wide
        return _values(np.minimum(self.ink(scale) / (2 * math.pi * spread), self.contrast))


def writing_in(luma: Gray) -> Writing | None:
    """None where there are too few signs to be writing."""
    height, width = luma.shape
    away = as_bytes(cv2.absdiff(luma, _ground(luma)))
    _, ink = cv2.threshold(away, _CONTRAST, 1, cv2.THRESH_BINARY)
    count, labels, found, centres = cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_16U)
    if not _SIGNS_MIN < count <= _SIGNS_MAX:
        return None
    left, top, wide, high, area = (np.asarray(found[:, i], np.int32) for i in range(5))
    filled = area / np.maximum(1, wide * high)
    sign = (high >= HEIGHT_MIN_PX) & (high <= _HEIGHT_MAX_PX) & (wide >= 2) & (wide <= _LENGTH_MAX * high)
    sign &= (filled >= _FILLED_MIN) & (filled <= _FILLED_MAX)
    sign[0] = False  # the ground
    if int(sign.sum()) < _SIGNS_MIN:
        return None
    level, edge, power = (sums[sign] for sums in _sums(away, np.asarray(labels, np.uint16), sign))
    size = np.maximum(wide, high)[sign]
    group = _groups((width, height), left[sign], top[sign], wide[sign], high[sign])
    kept, stroke, contrast = _by_group(group, 2 * level / np.maximum(edge, 1), power / np.maximum(level, 1), size)
    if not kept.any():
        return None
    x, y = (np.asarray(centres)[sign][kept] + 0.5).T / np.array([[width], [height]])
    return Writing(*map(_values, (x, y, size[kept], stroke[kept], contrast[kept])))


def largest_near(difference: Plane, writing: Writing, scale: float) -> Values:
    """The largest of `difference`, a frame of which the writing's places are shares, near each sign."""
    height, width = difference.shape
    levels = as_bytes(cv2.convertScaleAbs(difference, alpha=_PER_LEVEL))
    column = np.clip((writing.x * width).astype(np.int32), 0, width - 1)
    row = np.clip((writing.y * height).astype(np.int32), 0, height - 1)
    reach = np.clip(np.ceil(np.log2(writing.size * scale * _REACH)), 3, 7).astype(np.int32)
    largest = np.zeros(len(writing), np.float32)
    side = 1  # of the square around a pixel of which `levels` has the largest
    for power in np.unique(reach):
        more = 2 ** int(power) + 2 - side  # one square around another makes a square of both their sides, less one
        levels, side = as_bytes(cv2.dilate(levels, np.ones((more, more), np.uint8))), side + more - 1
        here = reach == power
        largest[here] = levels[row[here], column[here]] / np.float32(_PER_LEVEL)
    return largest


def _ground(luma: Gray) -> Gray:
    """What the signs stand on, without them: the brighter of what is near, or the darker where that prevails. Unlike
    a median it keeps the edges of a label or a button, however near the writing comes to them."""
    half = shrink(luma, max(8, max(luma.shape) // 2))
    square = np.ones((_GROUND_SIDE_PX, _GROUND_SIDE_PX), np.uint8)
    bright, dark = cv2.morphologyEx(half, cv2.MORPH_CLOSE, square), cv2.morphologyEx(half, cv2.MORPH_OPEN, square)
    mean = cv2.blur(half, (2 * _GROUND_SIDE_PX + 1, 2 * _GROUND_SIDE_PX + 1))
    ground = np.where(mean > cv2.addWeighted(bright, 0.5, dark, 0.5, 0), bright, dark)
    return as_bytes(cv2.resize(ground, luma.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _sums(away: Gray, labels: NDArray[np.uint16], sign: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Per sign, its edge pixels included: the sum of its levels, of its slopes and of its squared levels. A stroke
    has two slopes of its full contrast, so twice its levels over its slopes is its width, however blurred it is."""
    around = np.asarray(cv2.dilate(labels, np.ones((3, 3), np.uint8))).ravel()
    spots = np.flatnonzero(around.astype(np.bool_))
    spots = spots[: np.searchsorted(spots, away.size - away.shape[1])]  # each has a neighbour below
    spots = spots[sign[around[spots]]]
    levels = away.ravel()
    which, here = around[spots], levels[spots].astype(np.float32)
    across, down = levels[spots + 1] - here, levels[spots + away.shape[1]] - here
    slope = np.sqrt(across * across + down * down)
    return tuple(np.bincount(which, weight, len(sign)).astype(np.float64) for weight in (here, slope, here * here))


def _groups(picture: tuple[int, int], left: Whole, top: Whole, wide: Whole, high: Whole) -> Whole:
    """Which signs stand together: within about a sign's height of each other, in any direction."""
    width, height = picture
    apart = (np.minimum(high, _APART_MAX_PX) * _APART).astype(np.int32)
    area = np.zeros((height // 2 + 1, width // 2 + 1), np.uint8)
    boxes = np.stack([left - apart, top - apart // 2, left + wide + apart, top + high + apart // 2], axis=1) // 2
    for x, y, right, bottom in boxes:
        area[max(0, y) : bottom + 1, max(0, x) : right + 1] = 1
    _, labels = cv2.connectedComponents(area, connectivity=4)
    return np.asarray(labels[(top + high // 2) // 2, (left + wide // 2) // 2], np.int32)


def _by_group(
    group: Whole, stroke: NDArray[np.float64], contrast: NDArray[np.float64], size: Whole
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Which signs are writing, and for each the stroke and contrast of the fainter ones it stands with."""
    order = np.lexsort((stroke * stroke * contrast, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    faint = order[starts + (counts * _FAINT).astype(np.int64)]
    middle = order[starts + counts // 2]
    plump = (stroke[middle] > _PLUMP * size[middle]) & (size[middle] > _BLOB_PX)
    writing = (counts >= _TOGETHER_MIN) & (contrast[middle] >= _CONTRAST_MIN) & ~plump
    place = np.empty(len(order), np.int64)
    place[order] = np.repeat(np.arange(len(starts)), counts)
    return writing[place], stroke[faint][place], contrast[faint][place]


def _values(numbers: NDArray[Any]) -> Values:
    return np.asarray(numbers, np.float32)

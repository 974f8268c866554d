"""Where a picture can be edited so that a person would see it: glyphs in lines of text, and small distinct objects.

Written apart from the guard on purpose: edits made where the guard looks would not find what it overlooks.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.box import Box, Rgb

Mask = NDArray[np.float32]  # (h, w), 0..1

# A model sees a picture at some 1,000 to 1,600 pixels: there a glyph must be this high to be read.
_GLYPH_MIN_PX, _SEEN_SIDE_PX = 7, 1600
_GLYPH_MAX_SHARE = 0.12  # of the shorter side
_INK_LEVELS = 60  # away from the ground
_GLYPHS_MOST = 1500  # of a page full of text; enough to choose from
_RIM_PX = 3
_FLAT_SPREAD = 14.0  # standard deviation, levels, of a ground that text stands on

_OBJECT_SIDE_PX = 400  # longest side at which objects are looked for
_OBJECT_COLOURS = 10
_OBJECT_SHARES = (0.0008, 0.06)  # of the picture's area
_OBJECT_CONTRAST = 45.0  # levels between an object and what is around it
_AROUND_SPREAD = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class Glyph:
    """A letter, digit or sign in a line of text. `ink` is how much of each pixel of the box is ink."""

    box: Box
    ink: Mask
    colour: tuple[int, int, int]
    ground: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """A small object of about one colour, apart from what is around it. `inside` covers the box."""

    box: Box
    inside: Mask


class Places:
    """Found once per picture, each kind when first wanted."""

    def __init__(self, rgb: Rgb) -> None:
        self.rgb = rgb

    @cached_property
    def _gray(self) -> NDArray[np.uint8]:
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def _away(self) -> NDArray[np.uint8]:
        """How far each pixel is from the ground that it stands on."""
        return np.asarray(cv2.absdiff(self._gray, cv2.medianBlur(self._gray, 31)), np.uint8)

    @cached_property
    def glyph_boxes(self) -> list[Box]:
        """Boxes of components that stand in a row with others of their height."""
        ink = (self._away >= _INK_LEVELS).astype(np.uint8)
        _, _, found, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        left, top, width, height, area = (found[1:, i].astype(np.float64) for i in range(5))
        sides = self._gray.shape
        low = max(_GLYPH_MIN_PX, _GLYPH_MIN_PX * max(sides) / _SEEN_SIDE_PX)
        filled = area / (width * height)
        fits = (height >= low) & (height <= max(24, _GLYPH_MAX_SHARE * min(sides)))
        fits &= (width >= 0.1 * height) & (width <= 1.8 * height) & (filled > 0.15) & (filled < 0.95)
        numbers = np.flatnonzero(fits)[:_GLYPHS_MOST]
        boxes = [Box(*(int(v) for v in (left[i], top[i], left[i] + width[i], top[i] + height[i]))) for i in numbers]
        return [box for box, neighbours in zip(boxes, _neighbours(boxes), strict=True) if neighbours >= 2]

    def glyph(self, box: Box) -> Glyph | None:
        """The glyph in `box`; None unless it stands apart on a flat ground."""
        around = box.grown(_RIM_PX)
        if not around.inside(self.rgb):
            return None
        # Above and below alone: to the left and right stand its neighbours.
        rim = np.concatenate([around.of(self.rgb)[:2], around.of(self.rgb)[-2:]]).reshape(-1, 3)
        if float(rim.std(axis=0).max()) > _FLAT_SPREAD:
            return None
        ground = np.median(rim, axis=0)
        inner = box.of(self.rgb).astype(np.float32)
        strength = np.abs(inner - ground).max(axis=2)
        full = float(np.percentile(strength, 97))
        if full < _INK_LEVELS:
            return None
        colour = np.median(inner[strength >= 0.85 * full], axis=0)
        ink = np.clip(strength / full, 0, 1).astype(np.float32)
        return Glyph(box, ink, _colour(colour), _colour(ground))

    @cached_property
    def blobs(self) -> list[Blob]:
        height, width = self._gray.shape
        scale = min(1.0, _OBJECT_SIDE_PX / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.medianBlur(cv2.resize(self.rgb, size, interpolation=cv2.INTER_AREA), 5)
        found = []
        for label in _layers(np.asarray(small, np.uint8)):
            _, labels, stats, _ = cv2.connectedComponentsWithStats(label, connectivity=4)
            for number, stat in enumerate(stats[1:], start=1):
                if _is_compact(stat, size) and _stands_out(np.asarray(small), labels == number):
                    found.append(self._blob(labels == number, stat, scale))
        return [blob for blob in found if blob.box.grown(2).inside(self.rgb)]

    def _blob(self, inside: NDArray[np.bool_], stat: NDArray[np.int32], scale: float) -> Blob:
        left, top, width, height = (int(v) for v in stat[:4])
        edges = (left - 1, top - 1, left + width + 1, top + height + 1)
        box = Box(*(round(edge / scale) for edge in edges))
        cut = inside[top - 1 : top + height + 1, left - 1 : left + width + 1].astype(np.float32)
        large = cv2.resize(cut, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        return Blob(box, np.asarray(large, np.float32))


def _neighbours(boxes: list[Box]) -> list[int]:
    """How many others stand beside each box, on its line and of about its height."""
    if not boxes:
        return []
    left, top, right, bottom = (np.array([getattr(b, edge) for b in boxes], float) for edge in _EDGES)
    high, middle = bottom - top, (top + bottom) / 2
    alike = np.abs(np.log(high[:, None] / high)) < 0.35
    on_line = np.abs(middle[:, None] - middle) < 0.35 * high[:, None]
    gap = np.maximum(left[:, None] - right, left - right[:, None])
    near = (gap > -0.2 * high[:, None]) & (gap < 1.5 * high[:, None])
    return [int(n) for n in (alike & on_line & near).sum(axis=1)]


_EDGES: Final = ("left", "top", "right", "bottom")


def _layers(small: Rgb) -> list[NDArray[np.uint8]]:
    """One mask per colour of a small palette."""
    samples = small.reshape(-1, 3).astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 8, 2.0)
    cv2.setRNGSeed(1)
    count = min(_OBJECT_COLOURS, len(samples))
    _, labels, _ = cv2.kmeans(samples, count, np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    palette = np.asarray(labels).reshape(small.shape[:2])
    return [(palette == number).astype(np.uint8) for number in range(count)]


def _is_compact(stat: NDArray[np.int32], size: tuple[int, int]) -> bool:
    left, top, width, height, area = (int(v) for v in stat)
    share = area / (size[0] * size[1])
    if not _OBJECT_SHARES[0] <= share <= _OBJECT_SHARES[1] or area < 0.45 * width * height:
        return False
    if min(left, top) < 3 or left + width > size[0] - 3 or top + height > size[1] - 3:
        return False
    return 0.25 <= width / height <= 4 and min(width, height) >= 5


def _stands_out(small: Rgb, inside: NDArray[np.bool_]) -> bool:
    mask = inside.astype(np.uint8)
    around = (cv2.dilate(mask, np.ones((9, 9), np.uint8)) - cv2.dilate(mask, np.ones((3, 3), np.uint8))) > 0
    ground = small[around].astype(np.float32)
    away = np.abs(small[inside].astype(np.float32).mean(axis=0) - ground.mean(axis=0)).max()
    return bool(away >= _OBJECT_CONTRAST and ground.std(axis=0).max() <= _AROUND_SPREAD)


def _colour(levels: NDArray[np.float32]) -> tuple[int, int, int]:
    red, green, blue = (round(float(level)) for level in levels)
    return red, green, blue

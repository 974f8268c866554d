"""A picture laid on the pixel grid of another the way its sender put it there.

Senders work in whole pixels: they make a picture as large as a frame, paste it into a larger one, or cut it and resize
what is left. Where the placement lies that near to one of these, it was that one, and the resampler can be found that
was used; what was resampled the same way is equal to the last level. Any other placement is interpolated.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cache.guard.pixels import Rgb, as_bytes, as_plane, gray, shrink, smooth
from cache.guard.placement import WHOLE, Box, Placement, lay
from cache.guard.reencoding import Encoding, Page
from cache.guard.register import Anchors, refine
from cache.guard.resampling import is_resized, resized_like
from cache.guard.scene import Scene

# A placement this near to none is none: a copy in the same frame has moved by nothing. So is a shift of what kept its
# size. Filters of one sort (box) move what they shrink by more, but leave nothing once they are known.
_STILL_PX, _NEARLY_STILL_PX = 0.35, 1.0
# Edges of what was resized are placed to some hundredths.
_WHOLE_PX = 0.15
_RESIZED_MIN_PX = 2
_FRAMED_MAX = 1.5  # with the border that a picture was given before it was resized; a bound on memory
_EDGE_PX = 2  # rows and columns at the edge of the common part, where resampling has no neighbours


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A first picture's pixels, at their own size or shrunk."""

    base: Rgb
    is_own: bool
    encoding: Encoding | None  # of the asked JPEG file, where these are its own pixels

    @classmethod
    def of(cls, scene: Scene, side_px: int, is_asked: bool) -> "Grid":
        base = shrink(scene.view.rgb, side_px)
        is_own = base.shape[:2] == (scene.view.height, scene.view.width)
        return cls(base, is_own, scene.view.encoding if is_own and is_asked else None)

    def page(self, rows: slice, columns: slice) -> Page | None:
        return Page(self.encoding, self.base, rows, columns) if self.encoding else None


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A second picture's pixels on the rows and columns of a grid."""

    pixels: Rgb
    rows: slice
    columns: slice
    is_still: bool = False  # all of it on all of the grid


def lay_on(grid: Grid, second: Scene, placement: Placement) -> Laid:
    """`second` on `grid`; `placement` leads from the grid's picture to the second, and is good to some tenths of a
    pixel. May be empty."""
    laid = _as_sent(grid, second, placement)
    if laid is None:
        placement = _refined(grid.base, second, placement)
        laid = _as_sent(grid, second, placement) or _interpolated(grid.base, second, placement)
    return laid


def _as_sent(grid: Grid, second: Scene, placement: Placement) -> Laid | None:
    base = grid.base
    height, width = base.shape[:2]
    every = slice(0, height), slice(0, width)
    if _is_still(grid, second, placement):
        return Laid(resized_like(second.view.rgb, base, grid.page(*every)), *every, is_still=True)
    if not grid.is_own:
        return None  # its edges lie where shrinking left them
    rows, columns = second.gray.shape
    pasted = _whole_px(placement.inverse().image_of(WHOLE), (width, height), (columns, rows))
    if pasted and pasted.is_within(width, height) and _is_scaled((columns, rows), pasted.size):
        there = pasted.rows, pasted.columns
        return Laid(resized_like(second.view.rgb, base[there], grid.page(*there)), *there)
    if (rows, columns) != (second.view.height, second.view.width):
        return None
    cut = _whole_px(placement.image_of(WHOLE), (columns, rows), (width, height))
    if cut is None or not _is_scaled(cut.size, (width, height)) or max(cut.size) > _FRAMED_MAX * max(rows, columns):
        return None
    inside = _inside(base, placement)
    return Laid(resized_like(cut.of(second.view.rgb), base, grid.page(*every))[inside], *inside)


def _is_still(grid: Grid, second: Scene, placement: Placement) -> bool:
    height, width = grid.base.shape[:2]
    corners = placement.image_of(WHOLE)
    across = max(abs(corners.left), abs(corners.right - 1)) * width
    down = max(abs(corners.top), abs(corners.bottom - 1)) * height
    moved = float(max(across, down))
    if _STILL_PX <= moved < _NEARLY_STILL_PX:
        return is_resized(second.view.rgb, grid.base, grid.page(slice(0, height), slice(0, width)))
    return moved < _STILL_PX


@dataclass(frozen=True, slots=True)
class _Rectangle:
    """Whole pixels of a picture, and perhaps beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)

    def is_within(self, width: int, height: int) -> bool:
        return 0 <= self.left < self.right <= width and 0 <= self.top < self.bottom <= height

    def of(self, rgb: Rgb) -> Rgb:
        """These pixels of `rgb`, which goes on beyond its edges as it ends there."""
        height, width = rgb.shape[:2]
        top, left = max(0, -self.top), max(0, -self.left)
        beyond = top, max(0, self.bottom - height), left, max(0, self.right - width)
        wide = as_bytes(cv2.copyMakeBorder(rgb, *beyond, cv2.BORDER_REPLICATE)) if any(beyond) else rgb
        return np.ascontiguousarray(wide[self.top + top : self.bottom + top, self.left + left : self.right + left])


def _whole_px(box: Box, size: tuple[int, int], other: tuple[int, int]) -> _Rectangle | None:
    """The pixels that `box` fills of a picture of `size`, (width, height), where all its edges lie between pixels;
    `other` is the size of what fills it."""
    edges = box.left * size[0], box.top * size[1], box.right * size[0], box.bottom * size[1]
    left, top, right, bottom = whole = [round(edge) for edge in edges]
    off = max(abs(edge - near) for edge, near in zip(edges, whole, strict=True))
    rectangle = _Rectangle(left, top, right, bottom)
    return rectangle if off < (_STILL_PX if rectangle.size == other else _WHOLE_PX) else None


def _is_scaled(size: tuple[int, int], to: tuple[int, int]) -> bool:
    """Whether one factor makes `to` of `size`, but for rounding to whole pixels. Nobody resizes by a pixel or two."""
    if 0 < max(abs(one - other) for one, other in zip(size, to, strict=True)) <= _RESIZED_MIN_PX:
        return False
    least = max((side - 0.5) / whole for side, whole in zip(to, size, strict=True))
    return least <= min((side + 0.5) / whole for side, whole in zip(to, size, strict=True))


def _refined(base: Rgb, second: Scene, placement: Placement) -> Placement:
    height, width = base.shape[:2]
    anchors = Anchors(smooth(as_plane(gray(base)), 0.8))
    longest = max(placement.scale_x * second.gray.shape[1] / width, placement.scale_y * second.gray.shape[0] / height)
    other = smooth(as_plane(shrink(second.gray, round(max(second.gray.shape) / max(1.0, longest)))), 0.8)
    return refine(anchors, other, placement, 2) or placement


def _interpolated(base: Rgb, second: Scene, placement: Placement) -> Laid:
    inside = _inside(base, placement)
    return Laid(lay(second.view.rgb, placement, base.shape[1::-1], cubic=True)[inside], *inside)


def _inside(base: Rgb, placement: Placement) -> tuple[slice, slice]:
    """The rows and columns that the second picture shows too, but for its edges."""
    part, (height, width) = placement.overlap(), base.shape[:2]
    rows = slice(math.ceil(part.top * height - 1e-6) + _EDGE_PX, int(part.bottom * height + 1e-6) - _EDGE_PX)
    columns = slice(math.ceil(part.left * width - 1e-6) + _EDGE_PX, int(part.right * width + 1e-6) - _EDGE_PX)
    return rows, columns

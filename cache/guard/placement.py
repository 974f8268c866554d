"""Where one picture lies in another: scale and shift per axis, four numbers, nothing else.

No rotation, no perspective, no flow: an honest copy needs none of them, and each would let a moved object pass for
a copy. Coordinates are shares of a picture's sides, 0..1, so that they hold at every resolution.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import as_bytes

_TOUCHED_PX = 1e-6


class Box(NamedTuple):
    """A rectangle in shares of a picture's sides."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def margins(self) -> tuple[float, float, float, float]:
        """What lies beyond the box: left, top, right, bottom."""
        return self.left, self.top, 1 - self.right, 1 - self.bottom

    def pixels(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the pixels that the box touches, by more than a rounding error."""
        left, right = math.floor(self.left * width + _TOUCHED_PX), math.ceil(self.right * width - _TOUCHED_PX)
        top, bottom = math.floor(self.top * height + _TOUCHED_PX), math.ceil(self.bottom * height - _TOUCHED_PX)
        rows = slice(max(0, top), min(height, bottom))
        columns = slice(max(0, left), min(width, right))
        return rows, columns

    def on_grid(self, width: int, height: int) -> "Box":
        """The smallest box of whole pixels around this one."""
        rows, columns = self.pixels(width, height)
        return Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """The point (u, v) of the first picture lies at (scale_x * u + shift_x, scale_y * v + shift_y) of the second."""

    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0

    def inverse(self) -> "Placement":
        return Placement(1 / self.scale_x, -self.shift_x / self.scale_x, 1 / self.scale_y, -self.shift_y / self.scale_y)

    def image_of(self, box: Box) -> Box:
        return Box(
            self.scale_x * box.left + self.shift_x,
            self.scale_y * box.top + self.shift_y,
            self.scale_x * box.right + self.shift_x,
            self.scale_y * box.bottom + self.shift_y,
        )

    def overlap(self) -> Box:
        """The part of the first picture that the second one shows too. May be empty (width or height <= 0)."""
        back = self.inverse().image_of(WHOLE)
        return Box(max(0.0, back.left), max(0.0, back.top), min(1.0, back.right), min(1.0, back.bottom))

    def moved(self, step: NDArray[np.float64]) -> "Placement":
        return Placement(
            self.scale_x + float(step[0]),
            self.shift_x + float(step[1]),
            self.scale_y + float(step[2]),
            self.shift_y + float(step[3]),
        )

    def between(self, first: Box, second: Box) -> "Placement":
        """The same placement between the parts `first` and `second` of the two pictures."""
        return Placement(
            self.scale_x * first.width / second.width,
            (self.scale_x * first.left + self.shift_x - second.left) / second.width,
            self.scale_y * first.height / second.height,
            (self.scale_y * first.top + self.shift_y - second.top) / second.height,
        )

    def beyond(self, first: Box, second: Box) -> "Placement":
        """Undo `between`: from parts back to the whole pictures."""
        scale_x = self.scale_x * second.width / first.width
        scale_y = self.scale_y * second.height / first.height
        return Placement(
            scale_x,
            self.shift_x * second.width + second.left - scale_x * first.left,
            scale_y,
            self.shift_y * second.height + second.top - scale_y * first.top,
        )

    def is_sane(self) -> bool:
        numbers = (self.scale_x, self.shift_x, self.scale_y, self.shift_y)
        return all(map(math.isfinite, numbers)) and all(0.2 < s < 6 for s in (self.scale_x, self.scale_y))


def box_to_box(first: Box, second: Box) -> Placement:
    scale_x, scale_y = second.width / first.width, second.height / first.height
    return Placement(scale_x, second.left - scale_x * first.left, scale_y, second.top - scale_y * first.top)


def lay(second: NDArray[np.uint8], placement: Placement, size: tuple[int, int], cubic: bool) -> NDArray[np.uint8]:
    """`second` resampled onto the pixel grid of a first picture of `size`, (width, height)."""
    width, height = size
    rows, columns = second.shape[:2]
    shrink_x, shrink_y = placement.scale_x * columns / width, placement.scale_y * rows / height
    if shrink_x > 1.02 or shrink_y > 1.02:  # warpAffine does not average: what is smaller must be shrunk first
        target = max(8, round(columns / max(shrink_x, 1))), max(8, round(rows / max(shrink_y, 1)))
        second = as_bytes(cv2.resize(second, target, interpolation=cv2.INTER_AREA))
    rows, columns = second.shape[:2]
    if placement == Placement() and (columns, rows) == (width, height):
        return second
    flags = (cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    matrix = pixel_matrix(placement, (width, height), (columns, rows))
    return as_bytes(cv2.warpAffine(second, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def pixel_matrix(placement: Placement, first: tuple[int, int], second: tuple[int, int]) -> NDArray[np.float64]:
    """The placement between pixel centres of pictures of these sizes, (width, height), as a 2x3 matrix."""
    scale_x, scale_y = placement.scale_x * second[0] / first[0], placement.scale_y * second[1] / first[1]
    return np.array(
        [
            [scale_x, 0.0, scale_x / 2 + placement.shift_x * second[0] - 0.5],
            [0.0, scale_y, scale_y / 2 + placement.shift_y * second[1] - 0.5],
        ]
    )

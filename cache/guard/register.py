"""The fit itself: robust Gauss-Newton for a placement, and how well a placement fits.

Only edge pixels of the first picture are used ("anchors"): four numbers need no more, and it is ten times cheaper
than every pixel. Pixels that do not fit are trusted less, so that a local change cannot pull the placement.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Plane, as_plane
from cache.guard.placement import Box, Placement, pixel_matrix

_ANCHORS_MAX = 9000  # pixels used per level
_STEP_MAX = 0.06  # of a side, so that one bad step does not throw the fit out
_STILL_PX = 0.02  # a smaller step ends a level


class Anchors:
    """The pixels of a plane that tell where it lies: its edges, spread evenly, at most `_ANCHORS_MAX`."""

    def __init__(self, plane: Plane) -> None:
        self.height, self.width = plane.shape
        slope_x = as_plane(cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8))
        slope_y = as_plane(cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))
        steep = np.abs(slope_x) + np.abs(slope_y)
        steep[:2], steep[-2:], steep[:, :2], steep[:, -2:] = 0, 0, 0, 0  # no true neighbours there
        rows, columns = np.nonzero(steep > steep.mean())
        stride = 1 + rows.size // _ANCHORS_MAX
        rows, columns = rows[::stride], columns[::stride]
        self.value = plane[rows, columns]
        self.x = ((columns + 0.5) / self.width).astype(np.float32)
        self.y = ((rows + 0.5) / self.height).astype(np.float32)
        self.slope_x, self.slope_y = slope_x[rows, columns], slope_y[rows, columns]

    def residual(self, second: Plane, placement: Placement) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the second picture leaves unexplained at each anchor, brightness undone, and how far to trust it."""
        height, width = second.shape
        at_x = (placement.scale_x * self.x + placement.shift_x).astype(np.float32)
        at_y = (placement.scale_y * self.y + placement.shift_y).astype(np.float32)
        spots = at_x * width - 0.5, at_y * height - 0.5
        seen = as_plane(cv2.remap(second, *spots, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)).ravel()
        inside = (np.abs(at_x - 0.5) < 0.5 - 1 / width) & (np.abs(at_y - 0.5) < 0.5 - 1 / height)
        if int(inside.sum()) < 32:
            return np.zeros_like(seen), np.zeros_like(seen)
        mine, other = self.value - self.value[inside].mean(), seen - seen[inside].mean()
        gain = float((mine * other)[inside].mean() / ((other * other)[inside].mean() + 1e-3))
        rest = mine - np.float32(min(max(gain, 0.4), 2.5)) * other
        spread = 1.48 * float(np.median(np.abs(rest[inside]))) + 1.5
        trust = inside / (1 + np.square(rest / (2.5 * spread)))
        return rest, trust.astype(np.float32)


def refine(anchors: Anchors, second: Plane, start: Placement, steps: int) -> Placement | None:
    """`start` after at most `steps` of robust Gauss-Newton; None where it runs away."""
    now = start
    for _ in range(steps):
        rest, trust = anchors.residual(second, now)
        along_x = anchors.slope_x * np.float32(anchors.width / now.scale_x)
        along_y = anchors.slope_y * np.float32(anchors.height / now.scale_y)
        slopes = np.stack([along_x * anchors.x, along_x, along_y * anchors.y, along_y])
        step = _solved(slopes, rest, trust)
        now = now.moved(np.clip(step, -_STEP_MAX, _STEP_MAX))
        if not now.is_sane():
            return None
        if float(np.abs(step).max()) < _STILL_PX / max(anchors.width, anchors.height):
            break
    return now


def turn_px(anchors: Anchors, second: Plane, placement: Placement) -> float:
    """How far rotation or shear would still like to move the corners, pixels of the anchors' plane."""
    rest, trust = anchors.residual(second, placement)
    x, y = 2 * anchors.x - 1, 2 * anchors.y - 1
    gx, gy = anchors.slope_x, anchors.slope_y
    step = _solved(np.stack([gx * x, gx, gx * y, gy * x, gy, gy * y]), rest, trust)
    return float(max(abs(step[2]), abs(step[3])))


def lay_plane(second: Plane, placement: Placement, size: tuple[int, int]) -> Plane:
    """`second` on the grid of a first plane of `size`, (width, height), about as fine as itself."""
    matrix = pixel_matrix(placement, size, (second.shape[1], second.shape[0]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return as_plane(cv2.warpAffine(second, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def correlation(first: Plane, second: Plane, placement: Placement) -> float:
    """Of the overlapping parts; -1 where there is next to no overlap."""
    height, width = first.shape
    rows, columns = inner(placement.overlap(), width, height)
    if rows.stop - rows.start < 12 or columns.stop - columns.start < 12:
        return -1.0
    laid = lay_plane(second, placement, (width, height))
    mine = first[rows, columns] - first[rows, columns].mean()
    other = laid[rows, columns] - laid[rows, columns].mean()
    # One grey level of variance is added, so that two flat pictures never correlate by their noise.
    power = (float(np.square(mine).mean()) + 1) * (float(np.square(other).mean()) + 1)
    return float((mine * other).mean()) / math.sqrt(power)


def inner(box: Box, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns well inside `box`."""
    rows = slice(math.ceil(box.top * height) + 1, int(box.bottom * height) - 1)
    return rows, slice(math.ceil(box.left * width) + 1, int(box.right * width) - 1)


def _solved(slopes: NDArray[np.float32], rest: NDArray[np.float32], trust: NDArray[np.float32]) -> NDArray[np.float64]:
    weighted = slopes * trust
    normal = (weighted @ slopes.T).astype(np.float64)
    normal += np.eye(len(slopes)) * (1e-6 * float(np.trace(normal)) + 1e-6)
    return np.asarray(np.linalg.solve(normal, (weighted @ rest).astype(np.float64)), np.float64)

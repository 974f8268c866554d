"""The few picture operations that the guard's files share, with exact types around OpenCV's loose ones.

Nothing here decides anything. No function changes its arguments. The guard sets no OpenCV threads: a process
that compares many pairs side by side should call `cv2.setNumThreads(1)` itself; the verdict does not depend on it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # (h, w, 3)
Gray = NDArray[np.uint8]  # (h, w)
Plane = NDArray[np.float32]  # (h, w), grey levels 0..255 or a difference of them
Levels = NDArray[np.uint8]  # Rgb or Gray

_NEARLY_ZERO, _LOWER = 1e-4, 0.8


def as_bytes(image: Any) -> NDArray[np.uint8]:
    return np.asarray(image, dtype=np.uint8)


def as_plane(image: Any) -> NDArray[np.float32]:
    return np.asarray(image, dtype=np.float32)


def gray(rgb: Rgb) -> Gray:
    return as_bytes(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def shrink(image: Levels, side_max: int) -> Levels:
    """`image` with no side longer than `side_max`; never enlarged."""
    height, width = image.shape[:2]
    scale = side_max / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return as_bytes(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def smooth(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return as_plane(cv2.GaussianBlur(plane, (0, 0), sigma_px))


def local_range(levels: Gray, side_px: int = 9) -> Gray:
    """Brightest minus darkest within a square around each pixel."""
    square = np.ones((side_px, side_px), np.uint8)
    return as_bytes(cv2.subtract(cv2.dilate(levels, square), cv2.erode(levels, square)))


def near_top(values: NDArray[np.float32], share: float) -> float:
    """The value that `share` of all values, none of them negative, reach or exceed."""
    flat = values.ravel()
    rank = max(1, int(flat.size * share))
    # Selecting is slow among many and among equal values, and most differences are small: only the upper ones are
    # looked through, and no more of them than it takes.
    bound = float(flat.max())
    while bound > _NEARLY_ZERO:
        bound *= _LOWER
        upper = flat[flat >= bound]
        if upper.size >= rank:
            return float(np.partition(upper, upper.size - rank)[upper.size - rank])
    return float(np.partition(flat, flat.size - rank)[flat.size - rank])

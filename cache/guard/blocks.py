"""Is a difference within what one JPEG encoding does? Asked in the blocks and by the steps of that very file.

A JPEG file tells how coarsely each frequency of its blocks was rounded. A picture that was encoded so differs from
its original by half a step at most, in every frequency of every block: a far sharper rule than any noise level, and
one under which ringing round small text is no difference at all, while a changed stroke is one of several steps.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Plane, as_plane

Steps = NDArray[np.float32]  # (8, 8): the luma rounding steps of a JPEG file, vertical by horizontal frequency

_SIDE = 8
# What else stands between the two pictures than this encoding (loss of the kept copy, resampling, rounding to whole
# levels), as it shows in one coefficient.
_SLACK = 4.0
# Steps, slack included, that a copy may differ by in one coefficient. Copies reach 0.5 to 3, strokes begin at 5.
STEPS_MAX = 3.0
_LOW = np.add.outer(np.arange(8), np.arange(8)) < 5  # the frequencies that a small stroke shows in most


def _cosines() -> NDArray[np.float32]:
    """Rows of the orthonormal DCT-II: frequency by position."""
    k, x = np.arange(_SIDE)[:, None], np.arange(_SIDE)[None, :]
    basis = np.cos(np.pi * k * (2 * x + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


_COSINES = _cosines()


def low_step(steps: Steps) -> float:
    """The rounding step of the frequencies that small things show in most."""
    return float(np.median(steps[_LOW]))


def coarseness(steps: Steps | None) -> float:
    return 0.0 if steps is None else float(steps.sum())


def rounding(difference: Plane, steps: Steps, origin: tuple[int, int]) -> Plane:
    """Around each pixel's block, the largest difference in any frequency, in steps: 0.5 is what rounding explains.

    `origin` is the (row, column) of the first whole block in `difference`. Blocks that are cut off at an edge are
    continued as an encoder does it, so that no pixel goes unseen.
    """
    height, width = difference.shape
    top, left = -origin[0] % _SIDE, -origin[1] % _SIDE
    bottom, right = -(top + height) % _SIDE, -(left + width) % _SIDE
    whole = as_plane(cv2.copyMakeBorder(difference, top, bottom, left, right, cv2.BORDER_REPLICATE))
    down, across = whole.shape[0] // _SIDE, whole.shape[1] // _SIDE
    high = np.matmul(_COSINES, whole.reshape(down, _SIDE, across * _SIDE))  # (down, 8, across * 8)
    both = np.matmul(high.reshape(down, _SIDE, across, _SIDE), _COSINES.T)  # (down, 8, across, 8)
    largest = (np.abs(both) / (steps[:, None, :] + _SLACK)).max(axis=(1, 3))
    return as_plane(largest.repeat(_SIDE, 0).repeat(_SIDE, 1)[top : top + height, left : left + width])


def steps_of_ink(ink: NDArray[np.float32], steps: Steps) -> NDArray[np.float32]:
    """What a spot of so much ink (levels times pixels) comes to in steps, in the frequencies that show it best."""
    return ink / np.float32(4 * (low_step(steps) + _SLACK))

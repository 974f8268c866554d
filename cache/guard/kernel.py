"""Undoing whatever linear filter lies between two pictures on one grid: blur, sharpening, another resampler.

One small kernel for the whole picture, fitted robustly on its edges. A kernel of 25 numbers that holds everywhere
cannot hide a change in one place; and what it took is told, because a strong blur takes small strokes with it.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Plane, as_plane

_SIDE_PX = 5
_REACH = _SIDE_PX // 2
_ALONG = range(-_REACH, _REACH + 1)
_SAMPLES_MAX = 6000
_SAMPLES_MIN = 300  # fewer edge pixels teach no kernel
_ROUNDS = 3
_EXPLAINS = 0.9  # of the typical difference at edges may be left
_QUIET_LEVELS = 1.0  # a typical difference below this is rounding
_PULL = 1e-5  # towards no filter at all, as a share of the samples' power


@dataclass(frozen=True, slots=True)
class Kernel:
    """Taps that sum to one: brightness stays what it was."""

    taps: NDArray[np.float32]  # (5, 5)

    @property
    def sigma_px(self) -> float:
        """Of the blur that this filter is, 0 where it sharpens."""
        along = np.arange(-_REACH, _REACH + 1, dtype=np.float32)
        spread = float((self.taps * (along[:, None] ** 2 + along[None, :] ** 2)).sum())
        away = float((self.taps * along[None, :]).sum()), float((self.taps * along[:, None]).sum())
        return math.sqrt(max(0.0, (spread - away[0] ** 2 - away[1] ** 2) / 2))

    def applied(self, plane: Plane) -> Plane:
        return as_plane(cv2.filter2D(plane, cv2.CV_32F, self.taps, borderType=cv2.BORDER_REPLICATE))


def fit_kernel(sharp: Plane, soft: Plane) -> Kernel | None:
    """The filter that best makes `soft` of `sharp`; None where there are too few edges to tell, and where no filter
    explains clearly more than none: what needs no undoing must not be undone."""
    spots = _edges(sharp)
    if spots is None:
        return None
    rows, columns = spots
    middle = sharp[rows, columns]
    around = [(down, across) for down in _ALONG for across in _ALONG if (down, across) != (0, 0)]
    seen = np.stack([sharp[rows + down, columns + across] - middle for down, across in around])  # (24, n)
    target = soft[rows, columns] - middle
    found: NDArray[np.float64] = np.zeros(len(seen))
    away, trust = target, np.ones(rows.size, np.float32)
    for _ in range(_ROUNDS):
        weighted = seen * trust
        normal = (weighted @ seen.T).astype(np.float64)
        normal += np.eye(len(seen)) * (_PULL * float(np.trace(normal)) + 1e-6)
        found = np.asarray(np.linalg.solve(normal, (weighted @ target).astype(np.float64)), np.float64)
        away = target - found.astype(np.float32) @ seen
        spread = 1.48 * float(np.median(np.abs(away))) + 1
        trust = (1 / (1 + np.square(away / (2.5 * spread)))).astype(np.float32)
    if _typical(target) < _QUIET_LEVELS or _typical(away) > _EXPLAINS * _typical(target):
        return None
    taps = np.insert(found, len(found) // 2, 1 - found.sum())
    return Kernel(taps.reshape(_SIDE_PX, _SIDE_PX).astype(np.float32))


def _typical(away: NDArray[np.float32]) -> float:
    return float(np.median(np.abs(away)))


def _edges(plane: Plane) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    steep = np.abs(as_plane(cv2.Laplacian(plane, cv2.CV_32F)))[_REACH:-_REACH, _REACH:-_REACH]
    rows, columns = np.nonzero(steep > 1.5 * float(steep.mean()) + 1)
    if rows.size < _SAMPLES_MIN:
        return None
    stride = 1 + rows.size // _SAMPLES_MAX
    return rows[::stride] + _REACH, columns[::stride] + _REACH

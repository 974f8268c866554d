"""The heart of the guard: the largest local difference, relative to what re-encoding explains at that place.

A difference counts against the local contrast of the calmer picture, so that a stroke on flat paper is loud and
texture is quiet; at five scales, so that neither a point nor a shifted shade is missed; and the finest limits follow
the pair's own noise, because a copy may be worse everywhere alike, while an edit is an outlier. Always the maximum,
never a mean: a changed digit is a thousandth of a picture.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Plane, Rgb, as_bytes, as_plane, local_range, near_top, smooth

# A score up to this is the same picture: look-alikes in the development set begin at 1.08.
LIMIT = 0.95
# Above this the noise (99.9th percentile of the finest differences) hides what a changed stroke would show.
NOISE_MAX = 0.85
# Above this noise the finest limit no longer grows, and text must be larger to be legible.
NOISE_KNEE = 0.4

_NOISE_SHARE = 0.001
_SHARE_OF_RANGE = 0.1  # of the local range that re-encoding may change
_FLOOR_FINE, _FLOOR_COARSE = 10.0, 4.0  # grey levels that it may change anywhere, at scales 0-1 and 2-4
_LIMITS_COARSE = (1.2, 1.1, 1.0)  # scales 2, 3, 4
# (sigma in half-size pixels, limit); 4:2:0 leaves 10-25 units at fine coloured edges, little once blurred.
_COLOUR_LIMITS = ((1.0, 2.4), (2.5, 0.95), (6.0, 0.85))
_HALVING_SIGMA = 2.0
_COLOUR_FLOOR, _COLOUR_SHARE = 4.0, 0.2
Chroma = NDArray[np.float32]  # (h, w, 2)
_CHROMA = np.array([[-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)


@dataclass(frozen=True, slots=True)
class Difference:
    score: float  # largest difference over its limit
    noise: float


def luma_difference(mine: Plane, other: Plane) -> Difference:
    """Of two equally sharp planes on one grid, tone undone."""
    calm = cv2.min(local_range(_levels(mine)), local_range(_levels(other)))
    rest, calm = as_plane(cv2.subtract(mine, other)), as_plane(calm)
    fine = _relative(rest, calm, _FLOOR_FINE)
    noise = near_top(fine[::2, ::2], _NOISE_SHARE)
    score = float(fine.max()) / _finest_limit(noise)
    rest, calm = _halved(rest, calm)
    fine = _relative(rest, calm, _FLOOR_FINE)
    second_noise = near_top(fine[::2, ::2], _NOISE_SHARE)
    score = max(score, float(fine.max()) / min(0.35 + 0.9 * second_noise, 1.0))
    for limit in _LIMITS_COARSE:
        rest, calm = _halved(rest, calm)
        score = max(score, float(_relative(rest, calm, _FLOOR_COARSE).max()) / limit)
    return Difference(score, noise)


def colour_score(stored: Rgb, asked: Rgb) -> float:
    """Largest difference in chroma over its limit, of two pictures on one grid, tone undone."""
    mine, other = _chroma(stored), _chroma(asked)
    score, have = 0.0, 0.0
    for sigma, limit in _COLOUR_LIMITS:
        if have >= _HALVING_SIGMA:  # so smooth already that half the pixels hold it, at a tenth of the cost
            mine, other, sigma, have = _half(mine), _half(other), sigma / 2, have / 2
        step = math.sqrt(sigma * sigma - have * have)  # blurs add up in squares
        mine, other, have = smooth(mine, step), smooth(other, step), sigma
        away = _length(as_plane(cv2.subtract(mine, other)))
        allowed = cv2.addWeighted(cv2.max(_length(mine), _length(other)), _COLOUR_SHARE, away, 0, _COLOUR_FLOOR)
        score = max(score, float(as_plane(cv2.divide(away, allowed)).max()) / limit)
    return score


def _relative(rest: Plane, calm: Plane, floor: float) -> Plane:
    away = np.abs(as_plane(cv2.GaussianBlur(rest, (5, 5), 0.75)))
    return as_plane(cv2.divide(away, cv2.addWeighted(calm, _SHARE_OF_RANGE, calm, 0, floor)))


def _halved(rest: Plane, calm: Plane) -> tuple[Plane, Plane]:
    rest = as_plane(cv2.pyrDown(rest))
    size = rest.shape[1], rest.shape[0]
    return rest, as_plane(cv2.resize(calm, size, interpolation=cv2.INTER_AREA))


def _finest_limit(noise: float) -> float:
    return 0.55 + 1.1 * noise if noise < NOISE_KNEE else 1.28


def _levels(plane: Plane) -> NDArray[np.uint8]:
    return as_bytes(cv2.convertScaleAbs(plane))


def _chroma(rgb: Rgb) -> Chroma:
    return as_plane(cv2.transform(as_plane(_half(rgb)), _CHROMA))


def _half(image: NDArray[Any]) -> NDArray[Any]:
    size = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _length(pairs: Chroma) -> Plane:
    return as_plane(cv2.magnitude(cv2.extractChannel(pairs, 0), cv2.extractChannel(pairs, 1)))

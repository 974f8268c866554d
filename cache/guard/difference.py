"""The heart of the guard: the largest local difference, relative to what re-encoding explains at that place.

A difference counts against the local contrast of the calmer picture, so that a stroke on flat paper is loud and
texture is quiet; at five scales, so that neither a point nor a shifted shade is missed; and the finest limits follow
the pair's own noise, because a copy may be worse everywhere alike, while an edit is an outlier. Always the maximum,
never a mean: a changed digit is a thousandth of a picture.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

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

_NOISE_SHARE, _NOISE_SHARE_MAX, _NOISE_PX, _NOISE_SAMPLES = 0.001, 0.5, 150, 100_000
_SHARE_OF_RANGE = 0.1  # of the local range that re-encoding may change
_FLOOR_FINE, _FLOOR_COARSE = 10.0, 4.0  # grey levels that it may change anywhere, at scales 0-1 and 2-4
_LIMITS_COARSE = (1.2, 1.1, 1.0)  # scales 2, 3, 4
# Sigma in half-size pixels, and the limit: the first number at most, and no more than the pair's noise explains, which
# is the second plus the third times that noise. 4:2:0 leaves 10-25 units at fine coloured edges, little once blurred;
# of 685 copies one in a hundred reaches 0.86, 0.88 and 0.87 of these.
_COLOUR_LIMITS = ((1.0, 2.4, 0.7, 1.6), (2.5, 0.95, 0.33, 1.0), (6.0, 0.85, 0.25, 0.75))
_HALVING_SIGMA = 2.0
_COLOUR_FLOOR, _COLOUR_SHARE = 4.0, 0.2
_GREY = 128.0  # of a channel without colour


class Chroma(NamedTuple):
    red: Plane
    blue: Plane


class Peak(NamedTuple):
    """The largest value of a map, and where: shares of its sides."""

    value: float
    x: float = 0.5
    y: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    levels: Plane  # smoothed, absolute: what the finest scale shows
    noise: float  # the 99.9th percentile of the finest relative differences
    fine: Peak  # largest relative difference over its limit, at the two finest scales
    coarse: Peak  # ... and at the three coarser ones


class Scale(NamedTuple):
    """Relative differences at one scale, the limit they have there, and the pair's noise."""

    found: Plane
    limit: float
    noise: float

    @property
    def peak(self) -> Peak:
        value, x, y = peak_of(self.found)
        return Peak(value / self.limit, x, y)


def luma_difference(mine: Plane, other: Plane) -> Difference:
    """Of two equally sharp planes on one grid, tone undone."""
    levels = _smoothed(as_plane(cv2.subtract(mine, other)))
    scales = luma_scales(mine, other, levels)
    finest = next(scales)
    fine = max(finest.peak, next(scales).peak)
    return Difference(levels, finest.noise, fine, max(scale.peak for scale in scales))


def luma_scales(mine: Plane, other: Plane, levels: Plane | None = None) -> Iterator[Scale]:
    """At five scales, each half the one before. `levels` is the finest difference smoothed, if it is known."""
    calm = as_plane(cv2.min(local_range(_levels(mine)), local_range(_levels(other))))
    rest = as_plane(cv2.subtract(mine, other))
    for scale in range(2 + len(_LIMITS_COARSE)):
        if scale > 0:
            rest, calm = _halved(rest, calm)
        smoothed = levels if scale == 0 and levels is not None else _smoothed(rest)
        if scale < 2:
            found = _relative(smoothed, calm, _FLOOR_FINE)
            noise = _noise(found)
            yield Scale(found, _finest_limit(noise) if scale == 0 else min(0.35 + 0.9 * noise, 1.0), noise)
        else:
            yield Scale(_relative(smoothed, calm, _FLOOR_COARSE), _LIMITS_COARSE[scale - 2], 0.0)


def colour_peak(stored: Rgb, asked: Rgb) -> Peak:
    """Largest difference in chroma over its limit, of two pictures on one grid, tone undone."""
    return max(scale.peak for scale in colour_scales(stored, asked))


def colour_scales(stored: Rgb, asked: Rgb) -> Iterator[Scale]:
    """The same for chroma, at three scales."""
    mine, other = _chroma(stored), _chroma(asked)
    have = 0.0
    for sigma, limit, quiet, per_noise in _COLOUR_LIMITS:
        if have >= _HALVING_SIGMA:  # so smooth already that half the pixels hold it, at a tenth of the cost
            mine, other, sigma, have = _each(_half, mine), _each(_half, other), sigma / 2, have / 2
        step = math.sqrt(sigma * sigma - have * have)  # blurs add up in squares
        mine, other, have = _each(smooth, mine, step), _each(smooth, other, step), sigma
        away = _length(Chroma(*(as_plane(cv2.subtract(*pair)) for pair in zip(mine, other, strict=True))))
        allowed = cv2.addWeighted(cv2.max(_length(mine), _length(other)), _COLOUR_SHARE, away, 0, _COLOUR_FLOOR)
        found = as_plane(cv2.divide(away, allowed))
        noise = _noise(found)
        yield Scale(found, min(limit, quiet + per_noise * noise), noise)


def peak_of(found: Plane) -> Peak:
    if not found.size:
        return Peak(0.0)
    _, value, _, (column, row) = cv2.minMaxLoc(found)
    return Peak(float(value), (column + 0.5) / found.shape[1], (row + 0.5) / found.shape[0])


def _noise(found: Plane) -> float:
    """What nearly all of a map stays below: all but a thousandth, and in small pictures all but so many pixels, or a
    change there would pass for the noise that explains it."""
    stride = max(1, math.isqrt(found.size // _NOISE_SAMPLES))
    share = max(_NOISE_SHARE, min(_NOISE_SHARE_MAX, _NOISE_PX / max(1, found.size)))
    return near_top(found[::stride, ::stride], share)


def _smoothed(rest: Plane) -> Plane:
    return np.abs(as_plane(cv2.GaussianBlur(rest, (5, 5), 0.75)))


def _relative(levels: Plane, calm: Plane, floor: float) -> Plane:
    return as_plane(cv2.divide(levels, cv2.addWeighted(calm, _SHARE_OF_RANGE, calm, 0, floor)))


def _halved(rest: Plane, calm: Plane) -> tuple[Plane, Plane]:
    rest = as_plane(cv2.pyrDown(rest))
    size = rest.shape[1], rest.shape[0]
    return rest, as_plane(cv2.resize(calm, size, interpolation=cv2.INTER_AREA))


def _finest_limit(noise: float) -> float:
    return 0.55 + 1.1 * noise if noise < NOISE_KNEE else 1.28


def _levels(plane: Plane) -> NDArray[np.uint8]:
    return as_bytes(cv2.convertScaleAbs(plane))


def _chroma(rgb: Rgb) -> Chroma:
    """At half the size, where 4:2:0 keeps all it keeps."""
    half = cv2.cvtColor(_half(rgb), cv2.COLOR_RGB2YCrCb)
    red, blue = (np.subtract(cv2.extractChannel(half, which), np.float32(_GREY), dtype=np.float32) for which in (1, 2))
    return Chroma(red, blue)


def _each(change: Callable[..., Plane], colours: Chroma, *arguments: float) -> Chroma:
    return Chroma(change(colours.red, *arguments), change(colours.blue, *arguments))


def _half(image: NDArray[Any]) -> NDArray[Any]:
    size = max(1, image.shape[1] // 2), max(1, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _length(colours: Chroma) -> Plane:
    return as_plane(cv2.magnitude(colours.red, colours.blue))

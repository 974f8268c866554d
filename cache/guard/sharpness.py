"""Undoing blur, and telling whether the larger of two pictures shows more than the smaller one can."""

import math
from collections.abc import Callable

import cv2
import numpy as np

from cache.guard.kernel import fit_kernel
from cache.guard.pixels import Gray, Plane, as_bytes, smooth

# Sigma in pixels. Blurring the sharper picture by more than this would blur a changed stroke away with it.
BLUR_SIGMA_MAX = 1.3
_SIGMAS = (0.35, 0.45, 0.55, 0.65, 0.8, 1.0, 1.25, 1.6)
_ALIKE_LOG = 0.03  # difference of gradient energy (logarithm) that needs no undoing
_SAMPLE_ROWS = 200  # rows above and below the middle that the blur is found on

# Levels: what disappears at the smaller size where it is worst. Smooth enlargements lose 2-6, text and
# texture 20 and more.
DETAIL_LEVELS = 15.0


Alike = tuple[Plane, Plane, float]  # both planes equally sharp, and the sigma in pixels of the blur that this took
Undo = Callable[[Plane, Plane], Alike]


def alike(mine: Plane, other: Plane) -> Alike:
    """By blurring the sharper one. No pixel is left out, at the edges neither."""
    power, target = _gradient_energy(mine), _gradient_energy(other)
    if abs(math.log((power + 1e-3) / (target + 1e-3))) < _ALIKE_LOG:
        return mine, other, 0.0
    if power > target:
        sigma = _sigma_towards(mine, power, target)
        return smooth(mine, sigma), other, sigma
    sigma = _sigma_towards(other, target, power)
    return mine, smooth(other, sigma), sigma


def filter_between(mine: Plane, other: Plane) -> Undo | None:
    """What undoes the one small filter that explains the difference best; None where none explains any."""
    turned = _gradient_energy(mine) < _gradient_energy(other)
    kernel = fit_kernel(other, mine) if turned else fit_kernel(mine, other)
    if kernel is None:
        return None

    def undo(mine: Plane, other: Plane) -> Alike:
        if turned:
            return mine, kernel.applied(other), kernel.sigma_px
        return kernel.applied(mine), other, kernel.sigma_px

    return undo


def shows_more(large: Gray, ratio: float, share: float) -> bool:
    """Whether `share` of `large` has detail that a picture smaller by `ratio` cannot hold."""
    return float(np.percentile(lost_detail(large, ratio)[::2, ::2], 100 * (1 - share))) > DETAIL_LEVELS


def lost_detail(large: Gray, ratio: float) -> Gray:
    """Levels by which `large` changes around each pixel if it is made smaller by `ratio`, and as large again."""
    height, width = large.shape
    small_size = max(8, round(width / ratio)), max(8, round(height / ratio))
    small = cv2.resize(large, small_size, interpolation=cv2.INTER_LANCZOS4)
    back = cv2.resize(small, (width, height), interpolation=cv2.INTER_LANCZOS4)
    return as_bytes(cv2.GaussianBlur(cv2.absdiff(back, large), (0, 0), 0.75))


def _sigma_towards(sharp: Plane, power: float, target: float) -> float:
    rows = sharp.shape[0]
    if rows > 2 * _SAMPLE_ROWS:
        sharp = sharp[(rows - _SAMPLE_ROWS) // 2 : (rows + _SAMPLE_ROWS) // 2]
        target *= _gradient_energy(sharp) / max(power, 1e-3)
    have, power = 0.0, _gradient_energy(sharp)
    for sigma in _SIGMAS:
        left = _gradient_energy(smooth(sharp, sigma))
        if left <= target:  # between the last sigma and this one: log energy is nearly a line in sigma squared
            share = math.log((power + 1e-3) / (target + 1e-3)) / max(1e-3, math.log((power + 1e-3) / (left + 1e-3)))
            return max(0.3, math.sqrt(have**2 + min(1.0, share) * (sigma**2 - have**2)))
        have, power = sigma, left
    return _SIGMAS[-1]


def _gradient_energy(plane: Plane) -> float:
    height, width = plane.shape
    down = cv2.norm(plane[1:], plane[:-1], cv2.NORM_L2SQR) / max(1, (height - 1) * width)
    across = cv2.norm(plane[:, 1:], plane[:, :-1], cv2.NORM_L2SQR) / max(1, height * (width - 1))
    return float(down + across)

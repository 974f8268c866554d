"""Where a picture's content begins: flat borders, as of a padded or screenshot picture, cut away."""

import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Gray
from cache.guard.placement import WHOLE, Box

_FLAT_SPREAD_MAX = 10  # levels between the 1st and 99th percentile of a row that is still border; JPEG rings less
_CONTENT_MIN_PX = 8  # a picture that is all border has no content to cut out


def content_box(levels: Gray) -> Box:
    """The part of `levels` without flat borders; the whole where there are none, or nothing else."""
    height, width = levels.shape
    across, down = _profile(levels), _profile(np.ascontiguousarray(levels.T))
    top, bottom = _border(across), _border(across[:, ::-1])
    left, right = _border(down), _border(down[:, ::-1])
    if top + bottom >= height - _CONTENT_MIN_PX or left + right >= width - _CONTENT_MIN_PX:
        return WHOLE
    return Box(left / width, top / height, 1 - right / width, 1 - bottom / height)


def _profile(levels: Gray) -> NDArray[np.int16]:
    """Dark, middle and bright level of every row."""
    count = levels.shape[1]
    low = int(0.01 * count)
    ranks = [low, count // 2, count - 1 - low]
    return np.partition(levels, sorted(set(ranks)), axis=1)[:, ranks].T.astype(np.int16)


def _border(profile: NDArray[np.int16]) -> int:
    """How many of the first rows are flat and alike."""
    dark, middle, bright = profile
    flat = (bright - dark <= _FLAT_SPREAD_MAX) & (np.abs(middle - middle[0]) <= _FLAT_SPREAD_MAX)
    return int(flat.size if flat.all() else flat.argmin())

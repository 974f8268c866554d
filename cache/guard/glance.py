"""A first look at two placed pictures, small: what differs clearly here needs no second look.

Only refuses. Templates filled in differently (receipts, screens, forms) mostly end here, at a fraction of the cost.
"""

import cv2
import numpy as np

from cache.guard.pixels import Plane, as_bytes, as_plane, local_range
from cache.guard.placement import Placement
from cache.guard.register import inner, lay_plane
from cache.guard.scene import FINE_SIDE, Scene, common_sides

# A relative difference that no copy shows here: the largest of 1,991 copies is 2.3, half of the look-alikes exceed 6.
CLEAR = 3.0
_FLOOR = 10.0
_SHARE_OF_RANGE = 0.2
_SHARED_MIN_PX = 12


def glance_over(stored: Scene, asked: Scene, placement: Placement) -> float:
    """`glance`, or 0 where the pictures are too small or thin for it."""
    return glance(stored, asked, placement) if FINE_SIDE in common_sides(stored, asked) else 0.0


def glance(stored: Scene, asked: Scene, placement: Placement) -> float:
    """The largest difference on small planes, brightness undone, relative to the local contrast of the calmer one."""
    mine = stored.planes[FINE_SIDE]
    height, width = mine.shape
    other = lay_plane(asked.plane_for(placement, width), placement, (width, height))
    rows, columns = inner(placement.overlap(), width, height)
    mine, other = mine[rows, columns], other[rows, columns]
    if min(mine.shape) < _SHARED_MIN_PX:
        return 0.0
    toned = _toned(mine, other)
    calm = cv2.min(*(local_range(as_bytes(cv2.convertScaleAbs(plane))) for plane in (toned, other)))
    away = np.abs(as_plane(cv2.GaussianBlur(toned - other, (5, 5), 1.0)))
    return float((away / (as_plane(calm) * _SHARE_OF_RANGE + _FLOOR)).max())


def _toned(mine: Plane, other: Plane) -> Plane:
    """`mine` at the brightness and contrast of `other`, as far as one line goes."""
    rest, shift = mine - mine.mean(), other.mean()
    gain = float((rest * (other - shift)).mean()) / (float(np.square(rest).mean()) + 1)
    return as_plane(rest * np.float32(min(max(gain, 0.5), 2.0)) + shift)

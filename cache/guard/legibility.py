"""Could a readable change of the writing hide in what two pictures differ by? In doubt, yes.

A page in small print and a poster need not be alike to the same level: what may differ near a sign is what no change
of that sign could be, at its size, in this frame.
"""

from functools import cached_property

import numpy as np

from cache.guard.blocks import Steps, steps_of_ink
from cache.guard.difference import Peak
from cache.guard.frame import Common, Frame
from cache.guard.pixels import Plane, near_top
from cache.guard.placement import WHOLE, box_to_box
from cache.guard.scene import Scene
from cache.guard.writing import Values, Writing, largest_near

# What may differ near a sign, as a share of what its smallest readable change would differ by.
_LEVELS_SHARE = 1.0
_STEPS_SHARE = 0.8
# Of a step, slack included: rounding loses what is less than half of one.
_STEPS_MIN = 0.5
# A copy is worse at all its signs alike, an edit at one of them. Beside what nine signs of ten stay below, the worst
# sign of 1,180 copies came to more than this in 8; of a page that was resampled exactly, any changed stroke does.
_TYPICAL_SHARE, _OUTLIER_FLOOR, _OUTLIER = 0.1, 0.3, 2.5


class Legibility:
    """The writing of the richer picture, laid on the frame."""

    def __init__(self, stored: Scene, asked: Scene, common: Common, frame: Frame) -> None:
        asked_is_richer = asked.size_px(common.place)[0] > stored.size_px(common.seen)[0]
        self._scene, self._part = (asked, common.place) if asked_is_richer else (stored, common.seen)
        self._scale = frame.stored.shape[1] / (self._part.width * self._scene.gray.shape[1])

    @cached_property
    def _writing(self) -> Writing | None:
        writing = self._scene.writing
        return writing.moved(box_to_box(self._part, WHOLE)).inside() if writing else None

    def of_levels(self, levels: Plane, blur_px: float) -> Peak:
        """The largest difference near a sign over what is allowed there."""
        if self._writing is None or not len(self._writing):
            return Peak(0.0)
        allowed = _LEVELS_SHARE * self._writing.smallest_change(self._scale, blur_px)
        return self._peak(levels, allowed)

    def of_steps(self, found: Plane, steps: Steps) -> Peak:
        """The same for a difference told in the steps of a JPEG file."""
        if self._writing is None or not len(self._writing):
            return Peak(0.0)
        return self._peak(found, _STEPS_SHARE * steps_of_ink(self._writing.ink(self._scale), steps))

    def outlasts(self, steps: Steps) -> bool:
        """Whether every readable change of the writing is too large for a file with these steps to round it away."""
        if self._writing is None or not len(self._writing):
            return True
        return float(steps_of_ink(self._writing.ink(self._scale), steps).min()) >= _STEPS_MIN

    def _peak(self, difference: Plane, allowed: Values) -> Peak:
        assert self._writing is not None
        largest = largest_near(difference, self._writing, self._scale)
        shares = np.asarray(largest / np.maximum(allowed, np.float32(1e-3)), np.float32)
        worst = int(shares.argmax())
        unremarkable = min(1.0, _OUTLIER_FLOOR + _OUTLIER * near_top(shares, _TYPICAL_SHARE))
        return Peak(float(shares[worst]) / unremarkable, float(self._writing.x[worst]), float(self._writing.y[worst]))

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
# Of a step, slack included: nothing that is more than half of one is rounded to nothing.
_STEPS_MIN = 0.5
# A copy is worse at all its signs alike, an edit at one of them. Beside what nine signs of ten stay below, the worst
# sign of 1,180 copies came to more than this in 8; of a page that was resampled exactly, any changed stroke does.
_TYPICAL_SHARE, _OUTLIER_FLOOR, _OUTLIER = 0.1, 0.3, 2.5


class Legibility:
    """The writing of the stored picture, laid on the frame, and that of the asked one where it has more pixels. Never
    that alone: it may be too coarse for its own writing to be recognised."""

    def __init__(self, stored: Scene, asked: Scene, common: Common, frame: Frame) -> None:
        asked_is_richer = asked.size_px(common.place)[0] > stored.size_px(common.seen)[0]
        shown = [(stored, common.seen), (asked, common.place)]
        self._width = frame.stored.shape[1]
        self._shown = shown if asked_is_richer else shown[:1]

    @cached_property
    def _writings(self) -> list[tuple[Writing, float]]:
        """Each writing, and the scale at which the frame shows it."""
        laid = []
        for scene, part in self._shown:
            writing = scene.writing
            writing = writing.moved(box_to_box(part, WHOLE)).inside() if writing else None
            if writing is not None and len(writing):
                laid.append((writing, self._width / (part.width * scene.gray.shape[1])))
        return laid

    def of_levels(self, levels: Plane, blur_px: float) -> Peak:
        """The largest difference near a sign over what is allowed there."""
        return max(
            (
                _peak(levels, writing, scale, _LEVELS_SHARE * writing.smallest_change(scale, blur_px))
                for writing, scale in self._writings
            ),
            default=Peak(0.0),
        )

    def of_steps(self, found: Plane, steps: Steps) -> Peak:
        """The same for a difference told in the steps of a JPEG file."""
        return max(
            (
                _peak(found, writing, scale, _STEPS_SHARE * steps_of_ink(writing.ink(scale), steps))
                for writing, scale in self._writings
            ),
            default=Peak(0.0),
        )

    def outlasts(self, steps: Steps) -> bool:
        """Whether every readable change of the writing is too large for a file with these steps to round it away."""
        return all(
            float(steps_of_ink(writing.ink(scale), steps).min()) >= _STEPS_MIN for writing, scale in self._writings
        )


def _peak(difference: Plane, writing: Writing, scale: float, allowed: Values) -> Peak:
    largest = largest_near(difference, writing, scale)
    shares = np.asarray(largest / np.maximum(allowed, np.float32(1e-3)), np.float32)
    worst = int(shares.argmax())
    unremarkable = min(1.0, _OUTLIER_FLOOR + _OUTLIER * near_top(shares, _TYPICAL_SHARE))
    return Peak(float(shares[worst]) / unremarkable, float(writing.x[worst]), float(writing.y[worst]))

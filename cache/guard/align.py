"""Which placement to try: the cheapest hypothesis first, the next only where the last did not fit.

Whole on whole; content on content, flat borders cut away; then a search over crops and paddings. Each is refined
coarse to fine. Whether the best fit is good enough is decided elsewhere.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2

from cache.guard.pixels import as_plane
from cache.guard.placement import WHOLE, Box, Placement, box_to_box
from cache.guard.register import Anchors, correlation, refine
from cache.guard.scene import COARSE_SIDE, FINE_SIDE, MIDDLE_SIDE, Scene, common_sides

# A fit above this needs no other hypothesis.
_FIT_SURE = 0.97
# A coarse fit above this is within two pixels of the truth already, and the coarsest level can be skipped.
_FIT_NEAR = 0.9
# A hypothesis that fits worse than this after refinement is wrong.
_FIT_MIN = 0.6
_STEPS = {COARSE_SIDE: 8, MIDDLE_SIDE: 5, FINE_SIDE: 4}  # at most, per level
# Differences of aspect ratio (logarithm) that one picture may show: cropped wholes much, trimmed contents little.
_ASPECT_WHOLE_MAX = 0.12
_ASPECT_CONTENT_MAX = 0.05

# The search lays the first picture's middle on the second at these scales: crops and paddings of up to 18 %.
_SEARCH_MIDDLE = Box(0.1, 0.1, 0.9, 0.9)
_SEARCH_SCALES = tuple(1.03**i for i in range(-6, 8))
_SEARCH_FIT_MIN = 0.6


@dataclass(frozen=True, slots=True)
class Aligned:
    placement: Placement
    fit: float  # correlation of the overlapping parts, -1..1


def align(first: Scene, second: Scene) -> Aligned | None:
    """How `second` shows `first`; None where no hypothesis holds."""
    best: Aligned | None = None
    for start in _hypotheses(first, second):
        found = _refined(first, second, start)
        if found and (best is None or found.fit > best.fit + 1e-4):
            best = found
        if best and best.fit >= _FIT_SURE:
            break
    return best


def _hypotheses(first: Scene, second: Scene) -> Iterator[Placement]:
    if abs(first.aspect() - second.aspect()) < _ASPECT_WHOLE_MAX:
        yield Placement()
    tried = {(WHOLE, WHOLE)}
    for mine, other in ((first.content, second.content), (WHOLE, second.content), (first.content, WHOLE)):
        stretch = abs(first.aspect(mine) - second.aspect(other))
        if (mine, other) not in tried and stretch < _ASPECT_CONTENT_MAX:
            tried.add((mine, other))
            yield box_to_box(mine, other)
    if found := _searched(first, second):
        yield found


def _refined(first: Scene, second: Scene, start: Placement) -> Aligned | None:
    now = start
    steps = {side: _STEPS[side] for side in common_sides(first, second)}
    if COARSE_SIDE in steps and len(steps) > 1 and _fit(first, second, start, COARSE_SIDE) >= _FIT_NEAR:
        del steps[COARSE_SIDE]
    fit = -1.0
    for side, count in steps.items():
        anchors = Anchors(first.planes[side])
        moved = refine(anchors, second.plane_for(now, anchors.width), now, count)
        if moved is None:
            return None
        now, fit = moved, _fit(first, second, moved, side)
        if fit < _FIT_MIN:
            return None
    return Aligned(now, fit)


def _fit(first: Scene, second: Scene, placement: Placement, side: int) -> float:
    plane = first.planes[side]
    return correlation(plane, second.plane_for(placement, plane.shape[1]), placement)


def _searched(first: Scene, second: Scene) -> Placement | None:
    """Where the middle of the first picture correlates best, over scales; pixels of both stay square."""
    source, target = first.planes[MIDDLE_SIDE], second.planes[COARSE_SIDE]
    rows, columns = _SEARCH_MIDDLE.pixels(source.shape[1], source.shape[0])
    middle = source[rows, columns]
    # A second picture that is wider shows less of the height, or more of the width: half of each is near enough.
    squeeze = math.exp(second.aspect() - first.aspect())
    best, best_fit = None, _SEARCH_FIT_MIN
    for scale in _SEARCH_SCALES:
        scale_x, scale_y = scale / math.sqrt(squeeze), scale * math.sqrt(squeeze)
        width = round(_SEARCH_MIDDLE.width * scale_x * target.shape[1])
        height = round(_SEARCH_MIDDLE.height * scale_y * target.shape[0])
        if not (8 <= width <= target.shape[1] and 8 <= height <= target.shape[0]):
            continue
        pattern = as_plane(cv2.resize(middle, (width, height), interpolation=cv2.INTER_AREA))
        _, fit, _, (left, top) = cv2.minMaxLoc(cv2.matchTemplate(target, pattern, cv2.TM_CCOEFF_NORMED))
        if fit > best_fit and math.isfinite(fit):
            spot = Box(left, top, left + width, top + height)
            there = Box(*(v / target.shape[1 - i % 2] for i, v in enumerate(spot)))
            best, best_fit = box_to_box(_SEARCH_MIDDLE, there), fit
    return best

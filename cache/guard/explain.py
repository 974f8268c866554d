"""How a verdict came about, for people: every step with its figure and its limit, and a map of the difference.

Slower than `compare`: for the command line and reports, never for a request.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.align import align
from cache.guard.blocks import STEPS_MAX, rounding
from cache.guard.difference import colour_scales, luma_scales
from cache.guard.frame import lay_out, place_finely
from cache.guard.judge import FIT_MIN, SIDE_MIN_PX, judge
from cache.guard.pixels import Plane, Rgb, as_plane, gray
from cache.guard.scene import Scene
from cache.guard.sharpness import alike
from cache.guard.trace import Seen, Step, Trace
from cache.guard.view import VIEW_SIDE_MAX, View, side
from cache.verdict import Doubt, Verdict

Heat = NDArray[np.float32]  # (h, w), difference over its limit
_FINE_SCALES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A verdict and how it came about. The pictures and the heat (1.0 = at the limit) lie on one grid, (h, w); they
    are None where the pictures could not be laid on each other."""

    verdict: Verdict
    steps: tuple[Step, ...]
    stored: Rgb | None = None
    asked: Rgb | None = None
    heat: Heat | None = None


def explain(stored: View, asked: View) -> Explanation:
    """How `compare(stored, asked)` decides."""
    trace = Trace()
    verdict = judge(stored, asked, trace)
    if (seen := trace.seen or _laid_out(stored, asked)) is None:
        return Explanation(verdict, tuple(trace.steps))
    return Explanation(verdict, tuple(trace.steps), seen.frame.stored, seen.frame.asked, _heat(seen))


def _laid_out(stored: View, asked: View) -> Seen | None:
    """The two on one grid, for a refusal that came before they were laid on each other; None where nothing does."""
    if min(side(stored), side(asked)) < SIDE_MIN_PX:
        return None
    first, second = Scene(stored), Scene(asked)
    aligned = align(first, second)
    if aligned is None or aligned.fit < FIT_MIN:
        return None
    common = place_finely(first, second, aligned.placement)
    if isinstance(common, Doubt):
        return None
    frame = lay_out(first, second, common, VIEW_SIDE_MAX)
    if isinstance(frame, Doubt):
        return None
    mine, other, _ = alike(as_plane(gray(frame.stored)), as_plane(gray(frame.asked)))
    return Seen(frame, frame.stored, mine, other, by_steps=False)


def _heat(seen: Seen) -> Heat:
    size = seen.mine.shape[1], seen.mine.shape[0]
    heat: Heat = np.zeros(seen.mine.shape, np.float32)
    for number, scale in enumerate(luma_scales(seen.mine, seen.other)):
        if number >= _FINE_SCALES or not seen.by_steps:
            heat = np.maximum(heat, _at(scale.found, size) / scale.limit)
    if seen.by_steps and seen.frame.steps is not None:
        steps = rounding(as_plane(seen.mine - seen.other), seen.frame.steps, seen.frame.origin)
        heat = np.maximum(heat, steps / STEPS_MAX)
    for scale in colour_scales(seen.toned, seen.frame.asked):
        heat = np.maximum(heat, _at(scale.found, size) / scale.limit)
    return np.asarray(heat, np.float32)


def _at(found: Plane, size: tuple[int, int]) -> Plane:
    return as_plane(cv2.resize(found, size, interpolation=cv2.INTER_LINEAR))

"""How a verdict came about, for people: every step with its figure and its limit, and a map of the difference.

The verdict is `compare`'s own; the steps are taken again to be shown. Far slower than `compare`: for the command
line and reports, never for a request.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard import difference as diff
from cache.guard import judge
from cache.guard.align import align
from cache.guard.evidence import PHOTO_SIDE_MAX
from cache.guard.frame import Common, Frame, lay_out, place_finely
from cache.guard.glance import _CLEAR, glance
from cache.guard.pixels import Plane, Rgb, as_plane, gray, local_range, near_top, smooth
from cache.guard.placement import Placement
from cache.guard.scene import FINE_SIDE, Scene, common_sides
from cache.guard.sharpness import BLUR_SIGMA_MAX, alike
from cache.guard.tone import NO_CHANGE, fit_tone
from cache.guard.view import VIEW_SIDE_MAX, View, is_uniform, same_pixels, side
from cache.verdict import Different, Doubt, Same, Spot, Verdict

Heat = NDArray[np.float32]  # (h, w), difference over its limit


@dataclass(frozen=True, slots=True)
class Step:
    """One question of the guard's, in the order asked. `value` and `limit` are None where it has no figure."""

    name: str
    value: float | None
    limit: float | None
    passed: bool


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
    verdict = judge.compare(stored, asked)
    if same_pixels(stored, asked):
        return Explanation(verdict, (Step("same pixels", None, None, True),))
    small = min(side(stored), side(asked))
    steps = [Step("shorter side, px", small, judge._SIDE_MIN_PX, small >= judge._SIDE_MIN_PX)]
    if not steps[-1].passed or is_uniform(stored) or is_uniform(asked):
        return Explanation(verdict, tuple(steps))
    first, second = Scene(stored), Scene(asked)
    aligned = align(first, second)
    fit = aligned.fit if aligned else None
    steps.append(Step("fit", fit, judge._FIT_MIN, fit is not None and fit >= judge._FIT_MIN))
    if aligned is None or not steps[-1].passed:
        return Explanation(verdict, tuple(steps))
    if FINE_SIDE in common_sides(first, second):
        value = glance(first, second, aligned.placement)
        steps.append(Step("at a glance", value, _CLEAR, value <= _CLEAR))
    return _framed(first, second, aligned.placement, verdict, steps)


def _framed(first: Scene, second: Scene, rough: Placement, verdict: Verdict, steps: list[Step]) -> Explanation:
    common = place_finely(first, second, rough)
    refused_before = not all(step.passed for step in steps)
    if not refused_before:
        steps.append(Step("one scale and shift", None, None, isinstance(common, Common)))
    if not isinstance(common, Common):
        return Explanation(verdict, tuple(steps))
    document = first.is_document or second.is_document
    frame = lay_out(first, second, common, VIEW_SIDE_MAX if document else PHOTO_SIDE_MAX)
    if not isinstance(frame, Frame):
        return Explanation(verdict, tuple(steps))
    tone = fit_tone(frame.stored, frame.asked)
    toned = tone.applied(frame.stored) if tone.is_honest() and not isinstance(verdict, Same) else frame.stored
    mine, other, sigma = alike(as_plane(gray(toned)), as_plane(gray(frame.asked)))
    found, colour = diff.luma_difference(mine, other), diff.colour_score(toned, frame.asked)
    heat = np.maximum(_luma_heat(mine, other, (toned.shape[0], toned.shape[1])), _colour_heat(toned, frame.asked))
    if not refused_before:
        steps += _looked(verdict, tone == NO_CHANGE or tone.is_honest(), sigma, found, colour)
    if isinstance(verdict, Different) and verdict.doubt in (Doubt.LOCAL_CHANGE, Doubt.COLOUR_CHANGE):
        verdict = Different(verdict.doubt, verdict.score, _spot(heat, common))
    return Explanation(verdict, tuple(steps), frame.stored, frame.asked, heat)


def _looked(verdict: Verdict, honest: bool, sigma: float, found: diff.Difference, colour: float) -> list[Step]:
    """The rest of the questions, up to the one that refused."""
    doubt = verdict.doubt if isinstance(verdict, Different) else None
    asked = (
        ((Doubt.CONTENT_ADDED, Doubt.CONTENT_LOST, Doubt.GEOMETRY), "beyond the edge", None, None),
        ((Doubt.LARGER,), "detail lost by size", None, None),
        ((Doubt.TONE,), "tone", None, None),
        ((Doubt.RESOLUTION,), "sharpness", sigma, BLUR_SIGMA_MAX),
        ((Doubt.LOCAL_CHANGE,), "largest local difference", found.score, diff.LIMIT),
        ((Doubt.NOISE,), "noise", found.noise, diff.NOISE_MAX),
        ((Doubt.SMALL_TEXT,), "text is large enough", None, None),
        ((Doubt.COLOUR_CHANGE,), "largest colour difference", colour, diff.LIMIT),
    )
    steps = []
    for doubts, name, value, limit in asked:
        steps.append(Step(name, value, limit, doubt not in doubts))
        if not steps[-1].passed:
            break
    return steps


def _luma_heat(mine: Plane, other: Plane, shape: tuple[int, int]) -> Heat:
    calm = as_plane(cv2.min(local_range(diff._levels(mine)), local_range(diff._levels(other))))
    rest = as_plane(cv2.subtract(mine, other))
    heat: Heat = np.zeros_like(mine)
    for scale in range(5):
        away = diff._relative(rest, calm, diff._FLOOR_FINE if scale < 2 else diff._FLOOR_COARSE)
        noise = near_top(np.ascontiguousarray(away[::2, ::2]), diff._NOISE_SHARE)
        limits = (diff._finest_limit(noise), min(0.35 + 0.9 * noise, 1.0), *diff._LIMITS_COARSE)
        large = cv2.resize(away / limits[scale], heat.shape[::-1], interpolation=cv2.INTER_LINEAR)
        heat = np.maximum(heat, as_plane(large))
        rest, calm = diff._halved(rest, calm)
    down, across = shape[0] - mine.shape[0], shape[1] - mine.shape[1]  # undoing blur has cut the edges off
    return np.pad(heat, ((down // 2, down - down // 2), (across // 2, across - across // 2)))


def _colour_heat(stored: Rgb, asked: Rgb) -> Heat:
    heat = np.zeros(stored.shape[:2], np.float32)
    for sigma, limit in diff._COLOUR_LIMITS:
        mine, other = smooth(diff._chroma(stored), sigma), smooth(diff._chroma(asked), sigma)
        strength = np.maximum(np.linalg.norm(mine, axis=2), np.linalg.norm(other, axis=2))
        away = np.linalg.norm(mine - other, axis=2) / (diff._COLOUR_FLOOR + diff._COLOUR_SHARE * strength)
        large = cv2.resize(as_plane(away / limit), heat.shape[::-1], interpolation=cv2.INTER_LINEAR)
        heat = np.maximum(heat, as_plane(large))
    return heat


def _spot(heat: Heat, common: Common) -> Spot | None:
    """The warmest place, as a box of the asked picture."""
    _, _, boxes, _ = cv2.connectedComponentsWithStats(
        (heat >= min(diff.LIMIT, 0.6 * float(heat.max()))).astype(np.uint8)
    )
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    height, width = heat.shape
    for left, top, wide, high, _ in boxes[1:]:
        if left <= column < left + wide and top <= row < top + high:
            place = common.place
            across, down = place.width / width, place.height / height
            return Spot(
                place.left + float(left) * across,
                place.top + float(top) * down,
                place.left + float(left + wide) * across,
                place.top + float(top + high) * down,
            )
    return None

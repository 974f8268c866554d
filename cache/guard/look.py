"""Two pictures on one grid, looked at: what remains once tone and sharpness are undone, and whether it may.

Fine differences may be explained in either of two ways: by the noise of the pair, or, where the grid is that of a
JPEG file, by the rounding steps of that file. Coarse ones and colour have one way only.
"""

import numpy as np

from cache.guard.blocks import STEPS_MAX, rounding
from cache.guard.difference import LIMIT, NOISE_MAX, Difference, Peak, colour_peak, luma_difference, peak_of
from cache.guard.frame import Common, Frame
from cache.guard.legibility import Legibility
from cache.guard.pixels import Plane, as_plane, gray
from cache.guard.sharpness import BLUR_SIGMA_MAX, Undo
from cache.guard.tone import Tone
from cache.guard.trace import Seen, Trace
from cache.verdict import Different, Doubt, Same, Spot, Verdict

_SPOT_SHARE = 0.02  # of the frame's sides: half of the box that is drawn around the largest difference


def look(frame: Frame, common: Common, tone: Tone, undo: Undo, legible: Legibility, trace: Trace) -> Verdict:
    """The verdict from pixels, the stored picture brought to `tone`, and both made equally sharp by `undo`."""
    toned = tone.applied(frame.stored)
    if np.array_equal(toned, frame.asked):  # often, once the sender's own steps were done again
        trace.seen = Seen(frame, toned, as_plane(gray(toned)), as_plane(gray(toned)), by_steps=False)
        trace.at_most("largest difference, levels", 0.0, 0.0)
        return Same(0.0)
    mine, other, sigma = undo(as_plane(gray(toned)), as_plane(gray(frame.asked)))
    trace.seen = Seen(frame, toned, mine, other, by_steps=False)
    if not trace.at_most("blur, px", sigma, BLUR_SIGMA_MAX):
        return Different(Doubt.RESOLUTION)
    found = luma_difference(mine, other)
    if not trace.at_most("largest coarse difference", found.coarse.value, LIMIT):
        return _refused(Doubt.LOCAL_CHANGE, max(found.coarse, found.fine), common)  # how much, at its clearest
    fine = _by_noise(found, sigma, legible, common, trace)
    # Not of an enlargement: what resampling left of one is steps as well, as many as a comma for a point.
    if isinstance(fine, Different) and frame.steps is not None and not frame.is_enlarged:
        by_steps = _by_steps(as_plane(mine - other), frame, legible, trace)
        if by_steps is not None:
            trace.seen = Seen(frame, toned, mine, other, by_steps=True)
            fine = by_steps
    if isinstance(fine, Different):
        return fine
    colour = colour_peak(toned, frame.asked)
    if not trace.at_most("largest colour difference", colour.value, LIMIT):
        return _refused(Doubt.COLOUR_CHANGE, colour, common)
    return Same(max(found.coarse.value, fine.score, colour.value))


def _by_noise(found: Difference, sigma: float, legible: Legibility, common: Common, trace: Trace) -> Verdict:
    if not trace.at_most("largest fine difference", found.fine.value, LIMIT):
        return _refused(Doubt.LOCAL_CHANGE, found.fine, common)
    if not trace.at_most("noise", found.noise, NOISE_MAX):
        return Different(Doubt.NOISE, found.fine.value)
    writing = legible.of_levels(found.levels, sigma)
    if not trace.at_most("difference at the writing", writing.value, LIMIT):
        return _refused(Doubt.SMALL_TEXT, writing, common)
    return Same(max(found.fine.value, writing.value))


def _by_steps(difference: Plane, frame: Frame, legible: Legibility, trace: Trace) -> Same | None:
    """Same where the file's own steps explain what its pair's noise does not; None where they do not."""
    assert frame.steps is not None
    steps = rounding(difference, frame.steps, frame.origin)
    largest = peak_of(steps / STEPS_MAX)
    if largest.value > LIMIT:
        return None
    writing = legible.of_steps(steps, frame.steps)
    if writing.value > LIMIT:
        return None
    while trace.steps[-1].name != "largest coarse difference":
        trace.steps.pop()
    trace.at_most("largest difference in JPEG steps", largest.value, LIMIT)
    trace.at_most("difference at the writing, in JPEG steps", writing.value, LIMIT)
    return Same(max(largest.value, writing.value))


def _refused(doubt: Doubt, peak: Peak, common: Common) -> Different:
    place = common.place
    x, y = place.left + peak.x * place.width, place.top + peak.y * place.height
    wide, high = _SPOT_SHARE * place.width, _SPOT_SHARE * place.height
    return Different(
        doubt, peak.value, Spot(max(0.0, x - wide), max(0.0, y - high), min(1.0, x + wide), min(1.0, y + high))
    )

"""Are two pictures one picture? The order of the questions; each is answered in a file of its own.

Cheap and clear refusals come first. Everything that is not proved is a doubt: a doubt costs one call of the model,
a wrong hit costs trust. Pure and deterministic.
"""

from cache.guard.align import align
from cache.guard.frame import lay_out, place_finely
from cache.guard.glance import CLEAR, glance_over
from cache.guard.legibility import Legibility
from cache.guard.look import look
from cache.guard.loss import doubt_size, shows_more_than, working_side
from cache.guard.outside import doubt_outside
from cache.guard.pixels import as_plane, gray
from cache.guard.scene import Scene
from cache.guard.sharpness import alike, filter_between
from cache.guard.tone import NO_CHANGE, fit_tone
from cache.guard.trace import Trace
from cache.guard.view import View, is_uniform, same_pixels, side
from cache.verdict import Different, Doubt, Same, Verdict

SIDE_MIN_PX = 20  # smaller pictures are compared bit by bit only
FIT_MIN = 0.85  # correlation of the parts that both show, small; copies are above 0.95


def compare(stored: View, asked: View) -> Verdict:
    """Whether the answer to `stored` is the answer to `asked`."""
    return judge(stored, asked, Trace())


def judge(stored: View, asked: View, trace: Trace) -> Verdict:
    """As `compare`; `trace` is told what was asked and measured."""
    if same_pixels(stored, asked):
        trace.holds("same pixels", True)
        return Same(0.0)
    if not trace.at_least("shorter side, px", min(side(stored), side(asked)), SIDE_MIN_PX):
        return Different(Doubt.RESOLUTION)
    if not trace.holds("more than one colour", not (is_uniform(stored) or is_uniform(asked))):
        return Different(Doubt.TONE)  # one colour against another: nothing to hold a difference against
    first, second = Scene(stored), Scene(asked)
    aligned = align(first, second)
    if not trace.at_least("fit", aligned.fit if aligned else 0.0, FIT_MIN) or aligned is None:
        return Different(Doubt.GEOMETRY)
    if not trace.at_most("at a glance", glance_over(first, second, aligned.placement), CLEAR):
        return Different(Doubt.LOCAL_CHANGE)
    common = place_finely(first, second, aligned.placement)
    if not trace.holds("one scale and shift", not isinstance(common, Doubt)) or isinstance(common, Doubt):
        return Different(Doubt.GEOMETRY)
    document = first.is_document or second.is_document
    doubt = doubt_outside(stored.rgb, asked.rgb, common.seen, common.place, document)
    if not trace.holds("nothing beyond the edge", doubt is None) and doubt:
        return Different(doubt)
    side_max = working_side(first, second, common, document)
    doubt = doubt_size(first, second, common, side_max)
    frame = doubt or lay_out(first, second, common, side_max)
    if not trace.holds("size", not isinstance(frame, Doubt)) or isinstance(frame, Doubt):
        return Different(frame if isinstance(frame, Doubt) else Doubt.RESOLUTION)
    if not trace.holds("no print too small to look at", not (stored.hides_writing or asked.hides_writing)):
        return Different(Doubt.SMALL_TEXT)
    legible = Legibility(first, second, common, frame)

    # Most copies have kept their tone. What is the same with nothing undone needs no fit, which is half the work.
    so_far = len(trace.steps)
    plain = look(frame, common, NO_CHANGE, alike, legible, trace)
    if isinstance(plain, Same) and not shows_more_than(frame, NO_CHANGE):
        return plain
    tone = fit_tone(frame.stored, frame.asked)
    undo = filter_between(as_plane(gray(tone.applied(frame.stored))), as_plane(gray(frame.asked)))
    if isinstance(plain, Different) and tone == NO_CHANGE and undo is None:
        return plain  # there is nothing to undo
    del trace.steps[so_far:]
    if not trace.holds("tone", tone.is_honest()):
        return Different(Doubt.TONE)
    if not trace.holds("no more to see in the larger picture", not shows_more_than(frame, tone)):
        return Different(Doubt.LARGER)
    return look(frame, common, tone, undo or alike, legible, trace)

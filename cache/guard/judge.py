"""Are two pictures one picture? The order of the questions; each is answered in a file of its own.

Cheap and clear refusals come first. Everything that is not proved is a doubt: a doubt costs one call of the model,
a wrong hit costs trust. Pure and deterministic.
"""

from dataclasses import replace

from cache.guard.align import align
from cache.guard.frame import Common, Frame, lay_out, place_finely
from cache.guard.glance import CLEAR, glance_over
from cache.guard.legibility import Legibility
from cache.guard.look import look
from cache.guard.loss import doubt_size, shows_more_than, working_side
from cache.guard.outside import doubt_outside
from cache.guard.pixels import as_plane, gray
from cache.guard.reencoding import explains, is_grey
from cache.guard.scene import Scene
from cache.guard.sharpness import alike, filter_between
from cache.guard.tone import NO_CHANGE, Tone, fit_tone
from cache.guard.trace import Trace
from cache.guard.view import View, is_uniform, same_pixels, side
from cache.verdict import Different, Doubt, Same, Verdict

SIDE_MIN_PX = 20  # smaller pictures are compared bit by bit only
FIT_MIN = 0.85  # correlation of the parts that both show, small; copies are above 0.95
_ENCODING_MAX = 4.0  # times what is allowed: coarse JPEG differs by less, a look-alike often by more


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
    common = _placed(first, second, trace)
    if isinstance(common, Doubt):
        return Different(common)
    frame = _laid_out(first, second, common, trace)
    if isinstance(frame, Doubt):
        return Different(frame)
    return _looked_at(frame, common, Legibility(first, second, common, frame), stored.is_exact, trace)


def _placed(first: Scene, second: Scene, trace: Trace) -> Common | Doubt:
    aligned = align(first, second)
    if not trace.at_least("fit", aligned.fit if aligned else 0.0, FIT_MIN) or aligned is None:
        return Doubt.GEOMETRY
    if not trace.at_most("at a glance", glance_over(first, second, aligned.placement), CLEAR):
        return Doubt.LOCAL_CHANGE
    common = place_finely(first, second, aligned.placement)
    trace.holds("one scale and shift", not isinstance(common, Doubt))
    return common


def _laid_out(first: Scene, second: Scene, common: Common, trace: Trace) -> Frame | Doubt:
    stored, asked = first.view, second.view
    document = first.is_document or second.is_document
    doubt = doubt_outside(stored.rgb, asked.rgb, common.seen, common.place, document)
    if not trace.holds("nothing beyond the edge", doubt is None) and doubt:
        return doubt
    side_max = working_side(first, second, common, document)
    frame = doubt_size(first, second, common, side_max) or lay_out(first, second, common, side_max)
    if not trace.holds("size", not isinstance(frame, Doubt)):
        return frame
    if not trace.holds("no print too small to look at", not (stored.hides_writing or asked.hides_writing)):
        return Doubt.SMALL_TEXT
    return frame


def _looked_at(frame: Frame, common: Common, legible: Legibility, is_exact: bool, trace: Trace) -> Verdict:
    encoded = _encoded(frame, NO_CHANGE) if is_exact else None
    if encoded is not None and explains(encoded.stored, frame.stored, frame.asked):
        # Nothing else was done: what still differs is a change. That nothing differs may prove nothing.
        so_far = len(trace.steps)
        trace.holds("encoded as the asked file", True)
        verdict = look(encoded, common, NO_CHANGE, alike, legible, trace)
        if isinstance(verdict, Different):
            return verdict
        if _can_prove(frame, legible) and not shows_more_than(encoded, NO_CHANGE):
            return verdict
        del trace.steps[so_far:]

    # Most copies have kept their tone. What is the same with nothing undone needs no fit, which is half the work.
    so_far = len(trace.steps)
    plain = look(frame, common, NO_CHANGE, alike, legible, trace)
    plain = _or_encoded(plain, so_far, frame, common, NO_CHANGE, legible, trace)
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
    so_far = len(trace.steps)
    toned = look(frame, common, tone, undo or alike, legible, trace)
    if tone == NO_CHANGE:
        return toned
    return _or_encoded(toned, so_far, frame, common, tone, legible, trace)


def _encoded(frame: Frame, tone: Tone) -> Frame | None:
    """The frame with the stored picture at `tone` and encoded as the asked file was; None where that is not known."""
    if frame.page is None:
        return None
    return replace(frame, stored=frame.page.encoded(tone.applied(frame.stored)), steps=None)


def _can_prove(frame: Frame, legible: Legibility) -> bool:
    """Whether the asked file's encoding leaves a readable change to see, in brightness and in colour."""
    if frame.page is None:
        return False
    encoding = frame.page.encoding
    if encoding.is_grey and not is_grey(frame.stored):
        return False  # which colour was lost, nobody can tell
    return encoding.keeps_colour and legible.outlasts(encoding.steps)


def _or_encoded(
    first: Verdict, so_far: int, frame: Frame, common: Common, tone: Tone, legible: Legibility, trace: Trace
) -> Verdict:
    """Same where the stored picture is the asked one once it is encoded as that was; `first` where it is not.
    `so_far` steps were taken before `first` was found."""
    if isinstance(first, Same) or (first.score or 0) > _ENCODING_MAX or not _can_prove(frame, legible):
        return first
    encoded = _encoded(frame, tone)
    if encoded is None or shows_more_than(encoded, NO_CHANGE):
        return first
    again = Trace()
    again.holds("encoded as the asked file", True)
    second = look(encoded, common, NO_CHANGE, alike, legible, again)
    if isinstance(second, Different):
        return first
    trace.steps[so_far:] = again.steps
    trace.seen = again.seen
    return second

"""Are two pictures one picture? The order of the questions; each is answered in a file of its own.

Cheap and clear refusals come first. Everything that is not proved is a doubt: a doubt costs one call of the model,
a wrong hit costs trust. Pure and deterministic.
"""

from cache.guard.align import align
from cache.guard.difference import LIMIT, NOISE_MAX, colour_score, luma_difference
from cache.guard.evidence import PHOTO_SIDE_MAX
from cache.guard.frame import Frame, lay_out, place_finely
from cache.guard.glance import differ_at_a_glance
from cache.guard.loss import Loss, doubt_size
from cache.guard.outside import doubt_outside
from cache.guard.pixels import as_plane, gray
from cache.guard.scene import Scene
from cache.guard.sharpness import BLUR_SIGMA_MAX, alike
from cache.guard.tone import NO_CHANGE, Tone, fit_tone
from cache.guard.view import VIEW_SIDE_MAX, View, is_uniform, same_pixels, side
from cache.verdict import Different, Doubt, Same, Verdict

_SIDE_MIN_PX = 32  # smaller pictures are compared bit by bit only
_FIT_MIN = 0.85  # correlation of the parts that both show, small; copies are above 0.95


def compare(stored: View, asked: View) -> Verdict:
    """Whether the answer to `stored` is the answer to `asked`."""
    if same_pixels(stored, asked):
        return Same(0.0)
    if min(side(stored), side(asked)) < _SIDE_MIN_PX:
        return Different(Doubt.RESOLUTION)
    if is_uniform(stored) or is_uniform(asked):
        return Different(Doubt.TONE)  # one colour against another: nothing to hold a difference against
    first, second = Scene(stored), Scene(asked)
    aligned = align(first, second)
    if aligned is None or aligned.fit < _FIT_MIN:
        return Different(Doubt.GEOMETRY)
    if differ_at_a_glance(first, second, aligned.placement):
        return Different(Doubt.LOCAL_CHANGE)
    common = place_finely(first, second, aligned.placement)
    if isinstance(common, Doubt):
        return Different(common)
    document = first.is_document or second.is_document
    doubt = doubt_outside(stored.rgb, asked.rgb, common.seen, common.place, document)
    doubt = doubt or doubt_size(first, second, common)
    if doubt:
        return Different(doubt)
    frame = lay_out(first, second, common, VIEW_SIDE_MAX if document else PHOTO_SIDE_MAX)
    if isinstance(frame, Doubt):
        return Different(frame)
    return _look(frame, Loss(first, second, common, frame) if document else None)


def _look(frame: Frame, loss: Loss | None) -> Verdict:
    """The verdict on two pictures on one grid, from their pixels; `loss` for documents."""
    # Most copies have kept their tone. What is the same with nothing undone needs no fit, which is half the work.
    plain = _look_toned(frame, NO_CHANGE, loss)
    if isinstance(plain, Same):
        return plain
    tone = fit_tone(frame.stored, frame.asked)
    if not tone.is_honest():
        return Different(Doubt.TONE)
    return plain if tone == NO_CHANGE else _look_toned(frame, tone, loss)


def _look_toned(frame: Frame, tone: Tone, loss: Loss | None) -> Verdict:
    toned = tone.applied(frame.stored)
    luma = gray(toned)
    mine, other, sigma = alike(as_plane(luma), as_plane(gray(frame.asked)))
    if sigma > BLUR_SIGMA_MAX:
        return Different(Doubt.RESOLUTION)
    found = luma_difference(mine, other)
    if found.score > LIMIT:
        return Different(Doubt.LOCAL_CHANGE, found.score)
    if found.noise > NOISE_MAX:
        return Different(Doubt.NOISE, found.score)
    if loss and loss.hides_text(luma, found.noise):
        return Different(Doubt.SMALL_TEXT, found.score)
    colour = colour_score(toned, frame.asked)
    if colour > LIMIT:
        return Different(Doubt.COLOUR_CHANGE, colour)
    return Same(max(found.score, colour))

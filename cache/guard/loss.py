"""What size alone makes doubtful: an asked picture with more to see than the stored one."""

import numpy as np

from cache.guard.frame import ENLARGED_MAX, Common, Frame
from cache.guard.pixels import as_plane, gray, near_top, smooth
from cache.guard.placement import Box
from cache.guard.scene import Scene
from cache.guard.sharpness import DETAIL_LEVELS, shows_more
from cache.guard.tone import Tone
from cache.guard.view import PHOTO_SIDE_MAX, VIEW_SIDE_MAX
from cache.verdict import Doubt

# The answer to a picture is not given for one with more pixels than this of it and more to see in them.
_LARGER_RATIO = 1.25
# What a clearly larger picture shows beyond the stored one is looked for where at least so many more pixels are left
# of it: what is sharper than another is so at every size above that.
_SEEN_RATIO = 1.2
# One picture this much smaller than the other shows too little of it to prove anything.
_SHRINK_MAX = 3.1

_VIEW_SHRINK_MAX = 1.15  # a view that is smaller by more does not tell what the picture shows


def working_side(stored: Scene, asked: Scene, common: Common, document: bool) -> int:
    """Longest side, in pixels, at which the two are compared: photos as finely as the stored one was kept."""
    if document or _ratio(stored, asked, common) > _LARGER_RATIO:
        return VIEW_SIDE_MAX
    height, width = stored.gray.shape
    return max(PHOTO_SIDE_MAX, int(height), int(width))


def doubt_size(stored: Scene, asked: Scene, common: Common, side_max: int) -> Doubt | None:
    """What size alone makes doubtful. An asked picture that is a little larger is left to `shows_more_than`."""
    ratio = _ratio(stored, asked, common)
    if max(ratio, 1 / ratio) > _SHRINK_MAX:
        return Doubt.RESOLUTION
    looked_at = min(side_max, _length(asked, common.place))
    is_seen = ratio <= ENLARGED_MAX and looked_at >= _SEEN_RATIO * _length(stored, common.seen)
    if ratio > _LARGER_RATIO and not is_seen and _loses(asked, common.place, ratio):
        return Doubt.LARGER
    return None


def shows_more_than(frame: Frame, tone: Tone) -> bool:
    """Whether an asked picture that is clearly larger shows what the stored one, enlarged, does not."""
    if not frame.is_enlarged:
        return False
    rest = as_plane(gray(tone.applied(frame.stored))) - as_plane(gray(frame.asked))
    return near_top(np.abs(smooth(rest, 0.75))[::2, ::2], 0.005) > DETAIL_LEVELS


def _loses(scene: Scene, part: Box, ratio: float, share: float = 0.005) -> bool:
    """Whether shrinking the picture by `ratio` loses anything there; true where not even the view could show it."""
    height, width = scene.gray.shape
    beyond_view = scene.view.width / width
    if beyond_view > _VIEW_SHRINK_MAX:
        return True
    rows, columns = part.pixels(width, height)
    return shows_more(scene.gray[rows, columns], ratio / beyond_view, share)


def _ratio(stored: Scene, asked: Scene, common: Common) -> float:
    return _length(asked, common.place) / _length(stored, common.seen)


def _length(scene: Scene, part: Box) -> float:
    """Longest side of a part, in pixels of the full picture."""
    return max(scene.size_px(part))

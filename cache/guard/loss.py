"""What size alone makes doubtful: an asked picture with more to see, and text that got too small to be compared."""

from cache.guard.difference import NOISE_KNEE
from cache.guard.frame import Common, Frame
from cache.guard.pixels import Gray
from cache.guard.placement import Box
from cache.guard.scene import Scene
from cache.guard.sharpness import shows_more
from cache.guard.text import glyph_height_px
from cache.verdict import Doubt

# The answer to a picture is not given for one with more pixels than this of it and more to see in them.
_LARGER_RATIO = 1.25
# One picture this much smaller than the other shows too little of it to prove anything.
_SHRINK_MAX = 3.1

# Glyphs must be this high, pixels, for a changed stroke to show: where scaling lost detail, and under noise.
_GLYPH_MIN_SCALED_PX = 8.0
_GLYPH_MIN_NOISY_PX = 9.0
_SCALED_RATIO = 1.15  # scaling by less loses nothing that matters
_SCALED_RATIO_NO_GLYPHS = 1.5  # ... and by less than this where there is too little text to measure


def doubt_size(stored: Scene, asked: Scene, common: Common) -> Doubt | None:
    ratio = _length(asked, common.place) / _length(stored, common.seen)
    if max(ratio, 1 / ratio) > _SHRINK_MAX:
        return Doubt.RESOLUTION
    if ratio > _LARGER_RATIO and _loses(asked, common.place, ratio):
        return Doubt.LARGER
    return None


class Loss:
    """What was lost between the pictures and the frame that they are compared on."""

    def __init__(self, stored: Scene, asked: Scene, common: Common, frame: Frame) -> None:
        mine, other = _length(stored, common.seen), _length(asked, common.place)
        self._larger = (stored, common.seen) if mine > other else (asked, common.place)
        self._ratio = max(mine, other) / max(frame.stored.shape[:2])

    def hides_text(self, luma: Gray, noise: float) -> bool:
        """Whether text may have changed where this frame cannot show it."""
        noisy, scaled = noise > NOISE_KNEE, self._ratio > _SCALED_RATIO
        if not (noisy or scaled):
            return False
        height_px = glyph_height_px(luma)
        if height_px is None:  # text may be too small even to be seen as such
            unseen = self._ratio > _SCALED_RATIO_NO_GLYPHS
            return unseen and (noisy or _loses(*self._larger, self._ratio))
        if noisy and height_px < _GLYPH_MIN_NOISY_PX:
            return True
        return scaled and height_px < _GLYPH_MIN_SCALED_PX and _loses(*self._larger, self._ratio)


def _loses(scene: Scene, part: Box, ratio: float) -> bool:
    """Whether shrinking the picture by `ratio` loses anything there; true where not even the view could show it."""
    height, width = scene.gray.shape
    beyond_view = scene.view.width / width
    if beyond_view > _SCALED_RATIO:
        return True
    rows, columns = part.pixels(width, height)
    return shows_more(scene.gray[rows, columns], ratio / beyond_view)


def _length(scene: Scene, part: Box) -> float:
    """Longest side of a part, in pixels of the full picture."""
    return max(scene.size_px(part))

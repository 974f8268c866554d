"""What size alone makes doubtful: an asked picture with more to see, and text that got too small to be compared."""

from cache.guard.difference import NOISE_KNEE
from cache.guard.frame import Common, Frame
from cache.guard.pixels import Gray
from cache.guard.placement import Box
from cache.guard.scene import Scene
from cache.guard.sharpness import shows_more
from cache.guard.text import glyphs_of
from cache.verdict import Doubt

# The answer to a picture is not given for one with more pixels than this of it and more to see in them.
_LARGER_RATIO = 1.25
# One picture this much smaller than the other shows too little of it to prove anything.
_SHRINK_MAX = 3.1

# Glyphs must be this high, pixels, for a changed stroke to show: where scaling lost detail, and under noise. With one
# sign changed on 620 drawn pages, scaled and compressed, what was missed without this rule had glyphs of 4-7 px and a
# noise of 0.31 or more; unscaled, ordinary print was never missed below the knee.
_GLYPH_MIN_SCALED_PX = 8.0
_GLYPH_MIN_NOISY_PX = 9.0
_NOISE_MAX_SCALED = 0.3
# ... and a stroke must hold this much ink, levels times pixels. A decimal point is as wide as a stroke: in a hairline
# font, 9 px high after scaling (ink 100-125), one went missing unseen; ordinary fonts of that height have 155-210.
_STROKE_INK_MIN = 140.0
# Unscaled, but sent as WebP 60, a hairline point of 12 px print went missing below the knee as well.
_STROKE_INK_MIN_UNSCALED, _NOISE_MAX_THIN = 115.0, 0.25
_SCALED_RATIO = 1.05  # scaling by less loses nothing that matters
_VIEW_SHRINK_MAX = 1.15  # a view that is smaller by more does not tell what the picture shows
_TEXT_SHARE = 0.001  # of a page may be all its text: what scaling loses there counts
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
        scaled = self._ratio > _SCALED_RATIO
        if noise <= _NOISE_MAX_THIN and not scaled:
            return False
        noisy = noise > (_NOISE_MAX_SCALED if scaled else NOISE_KNEE)
        glyphs = glyphs_of(luma)
        if glyphs is None:  # text may be too small even to be seen as such
            unseen = self._ratio > _SCALED_RATIO_NO_GLYPHS
            return unseen and (noisy or _loses(*self._larger, self._ratio))
        thin = glyphs.stroke_ink < (_STROKE_INK_MIN if scaled else _STROKE_INK_MIN_UNSCALED)
        needed_px = _GLYPH_MIN_NOISY_PX if noise > NOISE_KNEE else _GLYPH_MIN_SCALED_PX
        if (thin and noise > _NOISE_MAX_THIN) or (noisy and glyphs.height_px < needed_px):
            return True
        small = thin or glyphs.height_px < _GLYPH_MIN_SCALED_PX
        return scaled and small and _loses(*self._larger, self._ratio, _TEXT_SHARE)


def _loses(scene: Scene, part: Box, ratio: float, share: float = 0.005) -> bool:
    """Whether shrinking the picture by `ratio` loses anything there; true where not even the view could show it."""
    height, width = scene.gray.shape
    beyond_view = scene.view.width / width
    if beyond_view > _VIEW_SHRINK_MAX:
        return True
    rows, columns = part.pixels(width, height)
    return shows_more(scene.gray[rows, columns], ratio / beyond_view, share)


def _length(scene: Scene, part: Box) -> float:
    """Longest side of a part, in pixels of the full picture."""
    return max(scene.size_px(part))

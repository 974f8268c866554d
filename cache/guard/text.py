"""Is a picture a document, and is its text large enough for a changed stroke to be seen?

A document is mostly two tones (paper and ink, or two of a screen's). Glyphs are the small components that stand out
from their surroundings. What is too small to be legible here can differ unseen, and that is a reason for doubt.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from cache.guard.pixels import Gray

# Share of pixels in the two commonest tones (each +-6 levels) from which a picture is treated as a document.
_DOCUMENT_SHARE = 0.68
_TONE_WIDTH = 13
# A glyph stands out from the median of its surroundings by this many levels.
_GLYPH_CONTRAST = 26
_GROUND_SIDE_PX = 17  # less than half of it is ink, for glyphs of the sizes that matter
_STROKES_PER_HEIGHT = 2.2  # length of all strokes of a letter or digit over its height
_GLYPHS_MIN = 15  # fewer say nothing about a text size


@dataclass(frozen=True, slots=True)
class Glyphs:
    height_px: float  # of the small ones: the 20th percentile
    stroke_ink: float  # levels times pixels across a stroke: a thin stroke has little, however high the glyph


def is_document(levels: Gray) -> bool:
    return two_tones(levels) > _DOCUMENT_SHARE


def two_tones(levels: Gray) -> float:
    """The share of pixels in the two commonest tones."""
    counts = cv2.calcHist([np.ascontiguousarray(levels[::2, ::2])], [0], None, [256], [0, 256]).ravel()
    near = np.convolve(counts, np.ones(_TONE_WIDTH), "same")
    first = int(near.argmax())
    rest = counts.copy()
    rest[max(0, first - _TONE_WIDTH // 2) : first + _TONE_WIDTH // 2 + 1] = 0
    second = float(np.convolve(rest, np.ones(_TONE_WIDTH), "same").max())
    return (float(near[first]) + second) / float(counts.sum())


def glyphs_of(luma: Gray) -> Glyphs | None:
    """The glyphs of a document; None where there are too few to measure."""
    # The median is the ground that the glyphs stand on, whether they are darker or lighter, and has no halo of them.
    away = cv2.absdiff(luma, cv2.medianBlur(luma, _GROUND_SIDE_PX))
    _, ink = cv2.threshold(away, _GLYPH_CONTRAST, 1, cv2.THRESH_BINARY)
    _, _, found, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    width, height, area = (found[1:, i] for i in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    filled = area / np.maximum(1, width * height)
    glyph = (height >= 4) & (height <= 70) & (width >= 2) & (width <= 5 * height) & (filled >= 0.12) & (filled <= 0.92)
    if int(glyph.sum()) < _GLYPHS_MIN:
        return None
    strokes = area[glyph] / (_STROKES_PER_HEIGHT * height[glyph])
    contrast = float(cv2.mean(away, ink)[0])
    return Glyphs(float(np.percentile(height[glyph], 20)), float(np.median(strokes)) * contrast)

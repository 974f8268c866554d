"""Is a picture a document? It is, if it is mostly two tones: paper and ink, or two of a screen's."""

import cv2
import numpy as np

from cache.guard.pixels import Gray

# Share of pixels in the two commonest tones (each +-6 levels) from which a picture is treated as a document.
_DOCUMENT_SHARE = 0.68
_TONE_WIDTH = 13


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

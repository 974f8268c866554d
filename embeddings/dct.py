"""A descriptor of our own that needs no download: the low frequencies of the picture inside its frame.

It nominates and nothing more: two receipts of one shop, or two charts of one template, will meet
here, and the guard tells them apart. What must not happen is that a benign copy is not nominated.

Rule: no step may hang on one pixel or one grey level, or a recompressed copy jumps; hence medians,
shares and soft norms. Whoever changes a number below raises `VERSION` and measures `THRESHOLD` anew.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embeddings.base import RGB, Space, Vectors

Floats = NDArray[np.float32]

VERSION: Final = "1"

# Calibrated on 365 pictures (products, receipts, charts, exams, screenshots, photos), 32 benign copies of each:
#
#     threshold   copies found   strangers nominated   look-alikes nominated
#     0.50        0.996          0.41 %                90 %
#     0.65        0.993          0.07 %                89 %
#     0.80        0.987          0.05 %                81 %
#
# Weakest: crops, alone or with other edits: 0.98 (1 %) to 0.95 (5 %) found; everything else 0.984 or more. Below
# 0.6 strangers rise steeply. The numbers in this file were chosen on these same pictures, so expect a little
# less elsewhere. `python -m benchmarks.embedders --images DIR --seed 1` measures again.
THRESHOLD: Final = 0.65

THUMB_PX: Final = 256  # long side on which the frame is found: finer costs time, coarser blurs the frame's edge
GRID: Final = 64  # the content is stretched to GRID x GRID, so its aspect cannot move the frequencies
LUMA: Final = 12  # luma frequencies per axis: 8 to 16 measured alike
CHROMA: Final = 3  # chroma frequencies per axis: where the colours lie, coarsely
CHROMA_SHARE: Final = 0.4  # weight of colour beside luma: a saturation edit must stay small

# A side of the frame is a run of lines of which FLAT_SHARE lies within FLAT_LEVELS of the outermost line's
# median. Borders, margins and letterboxes go, so that adding or cropping them changes nothing; FLAT_ROUNDS
# because a border may lie round a margin.
# Without this step, finding bordered copies would mean nominating most strangers too.
FLAT_LEVELS: Final = 16
FLAT_SHARE: Final = 0.97
FLAT_ROUNDS: Final = 4
SIDE_SHARE_MAX: Final = 0.45  # of the picture, per side and round: something always remains
SIDE_PX_MIN: Final = 8
LINES_PER_STEP: Final = 16

COEFFICIENT_NOISE: Final = 0.5  # coefficients below this (grey levels) are noise: they count linearly, not by root
FLATNESS: Final = 0.3  # an axis that only a (nearly) uniform picture reaches; keeps its vector away from 0
GREYNESS: Final = 6.0  # grey levels; the same for pictures without colour


def _cosines(frequencies: int) -> Floats:
    """Rows of the DCT-II: frequency by position, scaled so that a coefficient is in grey levels."""
    k, x = np.arange(frequencies)[:, None], np.arange(GRID)[None, :]
    basis = np.cos(np.pi * k * (2 * x + 1) / (2 * GRID)) * np.sqrt(2 / GRID)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis / np.sqrt(GRID), dtype=np.float32)


def _damping() -> Floats:
    """Less weight to higher frequencies, which a crop or a blur moves first; none to the mean (brightness)."""
    k = np.arange(LUMA)
    weight = np.maximum(np.hypot(k[:, None], k[None, :]), 1.0) ** -0.5
    weight[0, 0] = 0.0
    return weight.astype(np.float32)


LUMA_COSINES: Final = _cosines(LUMA)
CHROMA_COSINES: Final = _cosines(CHROMA)
DAMPING: Final = _damping()
DIM: Final = (LUMA * LUMA - 1) + 1 + 2 * CHROMA * CHROMA + 1


class DctEmbedder:
    """Pillow and numpy only. Insensitive to size, recompression, tone, borders and small crops."""

    calibrated: ClassVar[float] = THRESHOLD

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._space = Space(name="dct", weights=f"v{VERSION}", dim=DIM)
        self._threshold = threshold

    @property
    def space(self) -> Space:
        return self._space

    @property
    def threshold(self) -> float:
        return self._threshold

    def embed(self, pictures: Sequence[RGB]) -> Vectors:
        vectors = np.empty((len(pictures), DIM), dtype=np.float32)
        for row, picture in enumerate(pictures):
            vectors[row] = describe(picture)
        return vectors


def describe(picture: RGB) -> Floats:
    """One picture, one unit vector."""
    grid = _stretch(_inside_frame(_thumbnail(picture)))
    luma = grid @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    blue, red = (grid[..., 2] - luma) * 0.564, (grid[..., 0] - luma) * 0.713
    shape = _unit(np.append(_shape(luma), np.float32(FLATNESS)))
    colour = _unit(np.concatenate([_colour(blue), _colour(red), np.array([GREYNESS], dtype=np.float32)]))
    return _unit(np.concatenate([shape, CHROMA_SHARE * colour]))


def _thumbnail(picture: RGB) -> RGB:
    image = Image.fromarray(np.ascontiguousarray(picture))
    scale = THUMB_PX / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(image)


def _inside_frame(picture: RGB) -> RGB:
    for _ in range(FLAT_ROUNDS):
        height, width = picture.shape[:2]
        if min(height, width) < 2 * SIDE_PX_MIN:
            break
        across = picture.transpose(1, 0, 2)
        top, bottom = _flat_lines(picture), _flat_lines(picture[::-1])
        left, right = _flat_lines(across), _flat_lines(across[::-1])
        kept = picture[top : height - bottom, left : width - right]
        if kept.shape == picture.shape or min(kept.shape[:2]) < SIDE_PX_MIN:
            break
        picture = kept
    return picture


def _flat_lines(lines: RGB) -> int:
    """How many lines, from the first on, look like the first one's median colour."""
    most = max(1, int(len(lines) * SIDE_SHARE_MAX))
    colour = np.median(lines[0], axis=0).astype(np.int16)
    # In steps: most pictures have no frame, and then the first few lines are all that is looked at.
    for start in range(0, most, LINES_PER_STEP):
        away = np.abs(lines[start : min(start + LINES_PER_STEP, most)].astype(np.int16) - colour).max(axis=2)
        flat = (away <= FLAT_LEVELS).mean(axis=1) >= FLAT_SHARE
        if not flat.all():
            return start + int(np.argmin(flat))
    return most


def _stretch(picture: RGB) -> Floats:
    # BOX averages when shrinking but repeats pixels when growing, so a tiny picture is interpolated.
    small = min(picture.shape[:2]) < GRID
    method = Image.Resampling.BILINEAR if small else Image.Resampling.BOX
    image = Image.fromarray(np.ascontiguousarray(picture)).resize((GRID, GRID), method)
    return np.asarray(image, dtype=np.float32)


def _shape(luma: Floats) -> Floats:
    """Roots of the coefficients, signs kept: one strong gradient must not drown the rest of the picture."""
    coefficients = (LUMA_COSINES @ luma @ LUMA_COSINES.T) * DAMPING
    rooted = coefficients / np.sqrt(np.abs(coefficients) + COEFFICIENT_NOISE)
    return np.asarray(rooted, dtype=np.float32).ravel()[1:]  # the mean is always 0 after damping


def _colour(channel: Floats) -> Floats:
    return np.asarray(CHROMA_COSINES @ channel @ CHROMA_COSINES.T, dtype=np.float32).ravel()


def _unit(vector: Floats) -> Floats:
    # Never 0: both halves carry a constant axis.
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

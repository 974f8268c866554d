"""Undoing what an honest edit does to brightness and colour, and refusing more than that.

The stored colours are mapped on the asked ones by one gamma and one saturation for all, and gain and offset per
channel close to common ones. The fit trusts flat pixels (blur and ringing do not touch them), counts every tone that
is present alike (a page is 95 % one tone), and ignores what does not fit (a changed object must not be learnt).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cache.guard.pixels import Rgb, as_bytes, gray

Row = NDArray[np.float32]  # one value per sample
Rows = NDArray[np.float32]  # (n, 3): one colour per sample

# More than this is not an edit of brightness or warmth by up to 12 %, the most that ordinary copies show.
_END_SHIFT_MAX = 45.0  # levels that black or white may move, per channel
_GAIN_LOG_MAX = 0.25
_GAIN_SPREAD_MAX = 0.14  # between channels: warm and cool
_OFFSET_SPREAD_MAX = 12.0  # levels between channels, honest casts reach 11.7: more makes another hue

_SATURATION_MIN, _SATURATION_MAX = 0.75, 1.35

_UNTOUCHED_LEVELS = 1.5  # mean difference over all tones, in the worst channel, below which there is nothing to undo
_EXPLAINED_LEVELS = 0.8  # ... below which no gamma needs to be tried
_CLEARLY, _CLEARLY_LEVELS = 0.9, 0.05  # a less plain edit must leave this share of what a plainer one does, and less
_WELL_LEVELS = 3.0  # mean difference of all pixels, edges too, that a good fit leaves
_BRIGHTER, _DARKER = (0.96, 0.92, 0.88, 0.84, 0.8), (1.04, 1.08, 1.12, 1.17, 1.23)
# Levels at which a channel counts as clipped, what compression adds there, and what a clipped pixel still counts for.
_CLIP_BRIGHT, _CLIP_DARK, _CLIP_SLACK, _EXPLAINED_TRUST = 250, 4, 4, 0.05
_FLAT_LEVELS = 20.0  # local range at which a pixel is trusted a quarter
_LOOKED_AT = 60_000  # pixels, evenly over the picture, of which
_SAMPLES_PER_TONE = 450  # ... so many of each sixteenth of the tones are sampled
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Tone:
    """asked = matrix applied to the stored colours, after gamma."""

    gamma: float
    saturation: float
    gains: tuple[float, float, float]
    offsets: tuple[float, float, float]

    def is_honest(self) -> bool:
        gains, offsets = np.array(self.gains), np.array(self.offsets)
        ends = max(float(np.abs(offsets).max()), float(np.abs(255 * gains + offsets - 255).max()))
        return (
            ends <= _END_SHIFT_MAX
            and float(np.abs(np.log(np.maximum(gains, 1e-3))).max()) <= _GAIN_LOG_MAX
            and float(np.ptp(gains)) <= _GAIN_SPREAD_MAX
            and float(np.ptp(offsets)) <= _OFFSET_SPREAD_MAX
        )

    def applied(self, rgb: Rgb) -> Rgb:
        if self == NO_CHANGE:
            return rgb
        curve = np.round(255 * np.power(np.arange(256) / 255.0, self.gamma)).astype(np.uint8)
        levels = rgb if self.gamma == 1 else cv2.LUT(rgb, curve)
        keep = self.saturation * np.eye(3) + (1 - self.saturation) * np.ones((3, 1)) * _LUMA[None, :]
        matrix = np.hstack([np.diag(self.gains) @ keep, np.array(self.offsets)[:, None]]).astype(np.float32)
        return as_bytes(cv2.transform(levels, matrix))  # rounds and clips


NO_CHANGE = Tone(1.0, 1.0, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def fit_tone(stored: Rgb, asked: Rgb) -> Tone:
    """The tone that best turns `stored` into `asked`; both lie on one pixel grid."""
    mine, other, flat = _samples(stored, asked)
    every = np.ones_like(flat)
    tone = _fitted(mine, other, flat)
    loss = _left(tone, mine, other, every)
    if loss < _WELL_LEVELS:
        return tone
    # A page of thin lines has no flat ink to learn from. Its edges may teach the tone if that explains nearly all.
    taught = _fitted(mine, other, every)
    return taught if taught.is_honest() and _left(taught, mine, other, every) < loss / 2 else tone


def _fitted(mine: Rows, other: Rows, trust: Row) -> Tone:
    """Of several kinds of edit the plainest that explains about as much as any: a warm cast is no saturation."""
    if _loss(mine, other, _evenly(mine @ _LUMA, trust)) < _UNTOUCHED_LEVELS:
        return NO_CHANGE
    target = other @ _LUMA
    whole = trust * np.where(_is_partly_clipped(other), np.float32(0.005), np.float32(1))
    best: tuple[float, Tone] | None = None
    for tone in _edits(mine, other, target, trust, whole):
        left = _left(tone, mine, other, trust)
        if best is None or left < _CLEARLY * best[0] - _CLEARLY_LEVELS:
            best = left, tone
    assert best is not None
    return best[1]


def _edits(mine: Rows, other: Rows, target: Row, trust: Row, whole: Row) -> Iterator[Tone]:
    """Brightness, contrast, gamma, saturation: the best of each, plainer ones first."""
    gains = tuple(_gain(mine[:, c], other[:, c], trust) for c in range(3))
    yield Tone(1.0, 1.0, (gains[0], gains[1], gains[2]), (0.0, 0.0, 0.0))
    yield _channels(mine, mine, other, target, trust, whole, 1.0, 1.0)
    gamma = _gamma(mine, target, whole)
    bent = _bent(mine, gamma)
    if gamma != 1:
        yield _channels(bent, bent, other, target, trust, whole, gamma, 1.0)
    common, _ = _line(bent @ _LUMA, target, whole)
    saturation = _colour_ratio(bent, other, trust) / common
    # Outside of this it is no edit of the whole picture: whatever it is, the comparison of colours will say.
    if saturation != 1 and _SATURATION_MIN <= saturation <= _SATURATION_MAX:
        yield _channels(bent, _saturated(bent, saturation), other, target, trust, whole, gamma, saturation)


def _channels(
    bent: Rows, strong: Rows, other: Rows, target: Row, trust: Row, whole: Row, gamma: float, saturation: float
) -> Tone:
    common, _ = _line(bent @ _LUMA, target, whole)
    (g0, o0), (g1, o1), (g2, o2) = (_line(strong[:, c], other[:, c], trust, common, 300.0) for c in range(3))
    return Tone(gamma, saturation, (g0, g1, g2), (o0, o1, o2))


def _gain(mine: Row, other: Row, trust: Row) -> float:
    """The factor alone, robust; what the file could not hold is left out."""
    base = _evenly(mine, trust) * np.where(
        (other >= _CLIP_BRIGHT) | (mine <= _CLIP_DARK), np.float32(0.005), np.float32(1)
    )
    weight, gain = base, 1.0
    for _ in range(5):
        gain = float((weight * mine * other).sum()) / (float((weight * mine * mine).sum()) + 1e-3)
        rest = np.abs(other - np.float32(gain) * mine)
        weight = base / np.square(1 + np.square(rest / (2.96 * float(np.median(rest)) + 5)))
    return gain


def _left(tone: Tone, mine: Rows, other: Rows, trust: Row) -> float:
    """What `tone` leaves unexplained, levels, over all tones alike."""
    strong = _saturated(_bent(mine, tone.gamma), tone.saturation)
    toned = np.clip(strong * np.array(tone.gains, np.float32) + np.array(tone.offsets, np.float32), 0, 255)
    return _loss(toned, other, _evenly(mine @ _LUMA, trust))


def _samples(stored: Rgb, asked: Rgb) -> tuple[Rows, Rows, Row]:
    """Colours of both at the same pixels, and how flat both are there. Single pixels, never means of several: what
    was clipped one by one no line explains once it is averaged."""
    height, width = stored.shape[:2]
    square = np.ones((3, 3), np.uint8)
    luma = [gray(picture) for picture in (stored, asked)]
    spread = cv2.max(*(as_bytes(cv2.subtract(cv2.dilate(x, square), cv2.erode(x, square))) for x in luma))
    spots = np.arange(0, height * width, max(1, height * width // _LOOKED_AT))
    spots = spots[_of_every_tone(luma[0].ravel()[spots])]
    mine, other = (picture.reshape(-1, 3)[spots].astype(np.float32) for picture in (stored, asked))
    trust = 1 / np.square(1 + np.square(as_bytes(spread).ravel()[spots].astype(np.float32) / _FLAT_LEVELS))
    return mine, other, trust.astype(np.float32)


def _of_every_tone(luma: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Places in `luma`: of each sixteenth of the tones as many, as far as there are."""
    order = np.argsort(luma >> 4, kind="stable")
    counts = np.bincount(luma >> 4, minlength=16)
    ends = np.cumsum(counts)
    takes = [
        np.linspace(end - count, end - 1, min(int(count), _SAMPLES_PER_TONE)).astype(np.intp)
        for end, count in zip(ends, counts, strict=True)
    ]
    return np.asarray(np.sort(order[np.concatenate(takes)]))


def _is_partly_clipped(colours: Rows) -> NDArray[np.bool_]:
    """Where one channel is clipped and another is not, so that brightness and colour bend together."""
    clipped = (colours >= _CLIP_BRIGHT) | (colours <= _CLIP_DARK)
    return np.asarray(clipped.any(axis=1) & ~clipped.all(axis=1))


def _evenly(luma: Row, trust: Row) -> Row:
    """Trust such that every tone that is present counts alike."""
    tone = np.clip(luma.astype(np.int32) >> 4, 0, 15)
    present = np.bincount(tone, weights=trust, minlength=16)
    even = trust / np.maximum(present, 0.01 * float(trust.sum()) + 1e-6)[tone]
    return np.asarray(even / (even.mean() + 1e-6), np.float32)


def _loss(mine: Rows | Row, other: Rows | Row, trust: Row) -> float:
    away = np.minimum(np.abs(mine - other), 20)
    away = away if away.ndim == 1 else away.max(axis=1)
    return float((trust * away).sum() / (trust.sum() + 1e-6))


def _saturated(colours: Rows, saturation: float) -> Rows:
    luma = (colours @ _LUMA)[:, None]
    return np.asarray(luma + (colours - luma) * np.float32(saturation), np.float32)


def _bent(colours: Rows, gamma: float) -> Rows:
    if gamma == 1:
        return colours
    return (255 * np.power(np.clip(colours, 0, 255) / 255, np.float32(gamma))).astype(np.float32)


def _colour_ratio(mine: Rows, other: Rows, trust: Row) -> float:
    """How much stronger the colours are in the asked picture, without their luma; 1 where there are hardly any."""
    unclipped = ((other.max(axis=1) < 250) & (other.min(axis=1) > 5)).astype(np.float32)
    mine, other = mine - (mine @ _LUMA)[:, None], other - (other @ _LUMA)[:, None]
    power = np.square(mine).sum(axis=1)
    coloured = power > 200
    if float(coloured.mean()) <= 0.015:
        return 1.0
    base = (unclipped + np.float32(0.05)) * coloured * trust
    weight, ratio = base, 1.0
    for _ in range(4):
        ratio = float((weight[:, None] * mine * other).sum() / ((weight * power).sum() + 1e-3))
        away = np.sqrt(np.square(other - np.float32(ratio) * mine).sum(axis=1))
        weight = base / np.square(1 + np.square(away / (2 * np.median(away[coloured]) + 3)))
    return ratio


def _gamma(colours: Rows, target: Row, trust: Row) -> float:
    """1 unless another gamma explains clearly more."""

    def loss(gamma: float) -> float:
        luma = _bent(colours, gamma) @ _LUMA
        gain, offset = _line(luma, target, trust)
        return _loss(np.clip(gain * luma + offset, 0, 255), target, trust)

    plain = loss(1.0)
    if plain < _EXPLAINED_LEVELS:
        return 1.0
    best, gamma = min(_downhill(loss, plain, side) for side in (_DARKER, _BRIGHTER))
    return gamma if best < 0.9 * plain - 0.1 else 1.0


def _downhill(loss: Callable[[float], float], so_far: float, gammas: tuple[float, ...]) -> tuple[float, float]:
    """The least loss, and where: tried one after the other as long as each is better than the one before."""
    best = so_far, 1.0
    for gamma in gammas:
        if (now := loss(gamma)) >= best[0]:
            break
        best = now, gamma
    return best


def _line(mine: Row, other: Row, trust: Row, gain_near: float = 1.0, pull: float = 60.0) -> tuple[float, float]:
    """Gain and offset, robust, drawn towards `gain_near` where there is little contrast to learn from."""
    base = _evenly(mine, trust)
    bright, dark = other >= _CLIP_BRIGHT, other <= _CLIP_DARK
    gain, offset = gain_near, 0.0
    rest, weight = other - np.float32(gain_near) * mine, base
    for _ in range(6):
        # White that stays white, although the line would make it whiter still, says nothing about the line.
        explained = (bright & (rest < _CLIP_SLACK)) | (dark & (rest > -_CLIP_SLACK))
        weight = np.where(explained, _EXPLAINED_TRUST * weight, weight)
        total = float(weight.sum()) + 1e-3
        centre, level = float((weight * mine).sum()) / total, float((weight * other).sum()) / total
        away = mine - np.float32(centre)
        spread = float((weight * away * away).sum()) / total
        gain = (float((weight * away * (other - level)).sum()) / total + pull * gain_near) / (spread + pull)
        offset = level - gain * centre
        rest = other - np.float32(gain) * mine - np.float32(offset)
        weight = base / np.square(1 + np.square(rest / (2.96 * float(np.median(np.abs(rest))) + 5)))
    return gain, offset

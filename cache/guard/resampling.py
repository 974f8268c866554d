"""Making one picture as large as another the way its sender did: of all common resamplers, the one that fits.

Filters differ by 10 to 30 levels at the edges of small text, far more than a good copy does otherwise. They are few,
and each has its exact definition, so the right one leaves next to nothing.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from cache.guard.pixels import Rgb, as_bytes
from cache.guard.reencoding import Page

# A part of the picture: (source, its rows as a span of shares, size of the result as (width, rows)) -> resampled rows.
_Span = tuple[float, float]
_Resampler = Callable[[Rgb, _Span, tuple[int, int]], Rgb]

_STRIP_ROWS = 48  # rows of the target on which the resamplers are tried
_MARGIN_ROWS = 3  # where a strip has other neighbours than the picture has


def resized_like(source: Rgb, target: Rgb, page: Page | None = None) -> Rgb:
    """All of `source` at the size of `target`, by the resampler whose result is most like `target`. `page` is the JPEG
    file that `target` was cut from: the resamplers are told apart through its encoding then."""
    height, width = target.shape[:2]
    if source.shape == target.shape:
        return source
    how, _ = _nearest(source, target, page)
    return how(source, (0.0, 1.0), (width, height))


def is_resized(source: Rgb, target: Rgb, page: Page | None = None) -> bool:
    """Whether a common resampler makes `source` into `target`, as far as its busiest rows tell."""
    return source.shape != target.shape and _nearest(source, target, page)[1] < _EXPLAINED


def _nearest(source: Rgb, target: Rgb, page: Page | None = None) -> tuple[_Resampler, float]:
    """The resampler whose result is most like `target`, and the mean squared levels that it leaves."""
    height, width = target.shape[:2]
    start = _busiest_rows(target)
    if page is not None and (block := page.block_at(start)) is not None:
        start = block
    else:
        page = None
    stop = min(height, start + _STRIP_ROWS)
    strip = target[start:stop].astype(np.int16)[:, :, 1]
    span = start / height, stop / height

    def away(how: _Resampler) -> float:
        resampled = how(source, span, (width, stop - start))
        tried = (resampled if page is None else page.encoded_rows(resampled, start))[:, :, 1].astype(np.int16)
        rest = (tried - strip)[_MARGIN_ROWS:-_MARGIN_ROWS] if stop - start > 4 * _MARGIN_ROWS else tried - strip
        rest = rest - int(np.median(rest))  # brightness is undone later
        return float(np.square(np.clip(rest, -_CAP, _CAP).astype(np.float32)).mean())

    best, least = _RESAMPLERS[0], math.inf
    for how in _RESAMPLERS:
        if (left := away(how)) < least:
            best, least = how, left
        if least < _EXACT:
            break
    return best, least


_EXPLAINED = 30.0  # a picture that is placed wrongly by half a pixel differs by hundreds where it is busiest
_EXACT = 2.0  # mean squared levels: rounding and the loss of the kept copy
_CAP = 60  # levels: a changed place must not choose the resampler


def _busiest_rows(target: Rgb) -> int:
    rows = np.abs(np.diff(target[:, :, 1].astype(np.int16), axis=1)).sum(axis=1, dtype=np.int64)
    if len(rows) <= _STRIP_ROWS:
        return 0
    total = np.concatenate([[0], np.cumsum(rows)])
    return int((total[_STRIP_ROWS:] - total[:-_STRIP_ROWS]).argmax())


def _pillow(how: Image.Resampling) -> _Resampler:
    def resample(source: Rgb, span: _Span, size: tuple[int, int]) -> Rgb:
        height, width = source.shape[:2]
        box = (0, span[0] * height, width, span[1] * height)
        return np.asarray(Image.fromarray(source).resize(size, how, box))

    return resample


def _opencv(how: int) -> _Resampler:
    """OpenCV's interpolation, which does not average when it shrinks."""

    def resample(source: Rgb, span: _Span, size: tuple[int, int]) -> Rgb:
        if span == (0.0, 1.0):
            return as_bytes(cv2.resize(source, size, interpolation=how))
        height, width = source.shape[:2]
        across, down = width / size[0], (span[1] - span[0]) * height / size[1]
        matrix = np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5 + span[0] * height]])
        flags = how | cv2.WARP_INVERSE_MAP
        return as_bytes(cv2.warpAffine(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))

    return resample


_RESAMPLERS: tuple[_Resampler, ...] = (
    _pillow(Image.Resampling.LANCZOS),
    _pillow(Image.Resampling.BICUBIC),
    _pillow(Image.Resampling.BILINEAR),
    _pillow(Image.Resampling.BOX),
    _pillow(Image.Resampling.HAMMING),
    _pillow(Image.Resampling.NEAREST),
    _opencv(cv2.INTER_LINEAR),
    _opencv(cv2.INTER_CUBIC),
)

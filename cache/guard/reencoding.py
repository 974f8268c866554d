"""What one JPEG encoding does to a picture, done again: is the asked file the stored picture, encoded so?

Re-encoding is no noise. A JPEG file tells by which steps it rounded and how it halved its colour, and libjpeg does to
the same pixels the same thing every time. Encoded as the asked file was, the stored picture becomes that file to the
last bit if it is a copy of what was kept, and nearly so if it was resized or toned before; what then still differs
was not done by the encoding, and is looked at as any difference is.
"""

from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image
from PIL.Image import Transpose as _Turn

from cache.guard.blocks import Steps, low_step
from cache.guard.pixels import Rgb, as_plane, gray, near_top

# What the encoding leaves outside a part that may have been changed, if it is what was done.
_PART, _NOTHING_LEVELS, _SHARE = 0.01, 2.0, 0.4
# Levels: quality 25 and below is coarser. A swatch of 6 px that changes its hue by 30 levels is a step of 34.
_COLOUR_STEP_MAX = 50.0
# Levels between the channels of a picture without colour, after JPEG.
_GREY_LEVELS = 8
# How a picture lies in a file of each EXIF orientation, and how it is turned upright again; as it lies in all others.
_LAID = {2: _Turn.FLIP_LEFT_RIGHT, 3: _Turn.ROTATE_180, 4: _Turn.FLIP_TOP_BOTTOM, 5: _Turn.TRANSPOSE,
         6: _Turn.ROTATE_90, 7: _Turn.TRANSVERSE, 8: _Turn.ROTATE_270}  # fmt: skip
_BLOCK_ROWS = 16  # of brightness and colour together, at the most
_UPRIGHT = _LAID | {6: _Turn.ROTATE_270, 8: _Turn.ROTATE_90}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a JPEG file was encoded: its rounding steps for brightness and (not in a grey file) colour, 64 each, row by
    row; Pillow's number of its colour sampling (0: 4:4:4, 1: 4:2:2, 2: 4:2:0); and how EXIF turns it."""

    tables: tuple[tuple[int, ...], ...]
    sampling: int
    is_grey: bool
    orientation: int = 1

    @property
    def steps(self) -> Steps:
        return np.array(self.tables[0], np.float32).reshape(8, 8)

    @property
    def keeps_colour(self) -> bool:
        """Whether its steps for colour are fine enough for a small coloured thing to keep its colour."""
        return self.is_grey or low_step(np.array(self.tables[-1], np.float32).reshape(8, 8)) <= _COLOUR_STEP_MAX

    def applied(self, rgb: Rgb) -> Rgb:
        """`rgb` encoded so and decoded again."""
        file = BytesIO()
        laid = _turned(Image.fromarray(rgb), _LAID.get(self.orientation))
        tables = [list(table) for table in self.tables]
        (laid.convert("L") if self.is_grey else laid).save(file, "JPEG", qtables=tables, subsampling=self.sampling)
        with Image.open(file) as again:
            return np.asarray(_turned(again.convert("RGB"), _UPRIGHT.get(self.orientation)))


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """All the pixels of a JPEG file, and the rows and columns of them that a frame was cut from."""

    encoding: Encoding
    pixels: Rgb
    rows: slice
    columns: slice

    def encoded(self, part: Rgb) -> Rgb:
        """`part` in the place of what was cut, as the file's own encoding would have left it."""
        whole = self.pixels.copy()
        whole[self.rows, self.columns] = part
        return np.ascontiguousarray(self.encoding.applied(whole)[self.rows, self.columns])

    def block_at(self, row: int) -> int | None:
        """The row of the cut, near `row`, at which its blocks begin. None where EXIF turns them, or none does."""
        start = row - (self.rows.start + row) % _BLOCK_ROWS
        start = start if start >= 0 else start + _BLOCK_ROWS
        height = self.rows.stop - self.rows.start
        return start if self.encoding.orientation == 1 and start + _BLOCK_ROWS <= height else None

    def encoded_rows(self, part: Rgb, start: int) -> Rgb:
        """As `encoded`, of some rows of the cut from a `block_at` on: by themselves they become the same as in the
        whole, but for colours at their edges."""
        top = self.rows.start + start
        strip = Page(self.encoding, self.pixels[top : top + len(part)], slice(0, len(part)), self.columns)
        return strip.encoded(part)


def _turned(image: Image.Image, turn: _Turn | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)


def is_grey(rgb: Rgb) -> bool:
    red, green, blue = (cv2.extractChannel(rgb, channel) for channel in range(3))
    return max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(blue, green, cv2.NORM_INF)) <= _GREY_LEVELS


def explains(encoded: Rgb, stored: Rgb, asked: Rgb) -> bool:
    """Whether the encoding is most of what stands between the two, but for a small part of them."""
    theirs = gray(asked)
    left, before = (as_plane(cv2.absdiff(gray(mine), theirs))[::2, ::2] for mine in (encoded, stored))
    return near_top(left, _PART) <= max(_NOTHING_LEVELS, _SHARE * near_top(before, _PART))

"""Drawn product cards with a price on them, and a reader of that price. Pure.

The reader works on the pixels alone, by comparing each digit's place with the ten digits it knows. So
an answer made with it is right for any copy of a card and wrong for any other card: a wrong hit shows.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZE = (800, 600)
DIGITS = 4  # 12.34 is written as two digits, a point, two digits
_CELLS = ((120, 430), (200, 430), (330, 430), (410, 430))  # left, top of each digit
_CELL = (70, 100)
_POINT = (292, 512, 306, 526)
_INK = (24, 26, 32)
_PAPER = (246, 244, 238)


def draw(price: str, body: tuple[int, int, int] = (196, 84, 62), seed: int = 7) -> Image.Image:
    """A card whose label says `price` (such as "48.20"), with a vase of the given colour on it."""
    digits = _digits(price)
    card = Image.fromarray(_background(seed))
    brush = ImageDraw.Draw(card)
    brush.ellipse((290, 120, 510, 380), fill=body)
    brush.rectangle((350, 70, 450, 170), fill=tuple(max(0, c - 30) for c in body))
    brush.ellipse((340, 170, 400, 250), fill=tuple(min(255, c + 50) for c in body))
    brush.rectangle((90, 415, 560, 545), fill=_PAPER, outline=_INK, width=3)
    for digit, (left, top) in zip(digits, _CELLS, strict=True):
        brush.text((left, top), digit, font=_font(), fill=_INK)
    brush.ellipse(_POINT, fill=_INK)
    brush.text((90, 30), "STONEWARE No. 12", font=ImageFont.load_default(size=34), fill=_INK)
    return card


def read(card: Image.Image) -> str:
    """The price on a card, whatever its size and however it was compressed."""
    grey = np.asarray(card.convert("RGB").convert("L").resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    found = [_nearest(grey[top : top + _CELL[1], left : left + _CELL[0]]) for left, top in _CELLS]
    return f"{found[0]}{found[1]}.{found[2]}{found[3]}"


def _digits(price: str) -> str:
    digits = price.replace(".", "")
    if len(digits) != DIGITS or not digits.isdigit() or price[2:3] != ".":
        raise ValueError(f"a price such as 48.20 is wanted, not {price!r}")
    return digits


def _background(seed: int) -> NDArray[np.uint8]:
    """A soft, slightly textured wall, so that the picture is not only flat areas."""
    width, height = SIZE
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 9, (height // 25, width // 25, 1))
    grain = np.asarray(
        Image.fromarray((coarse[..., 0] + 128).astype(np.uint8)).resize(SIZE, Image.Resampling.BICUBIC), np.float32
    )
    slope = np.linspace(205, 160, height, dtype=np.float32)[:, None]
    wall = slope + (grain - 128)
    return np.clip(np.stack([wall, wall * 0.97, wall * 0.9], axis=-1), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=96)


@lru_cache(maxsize=10)
def _template(digit: str) -> NDArray[np.float32]:
    cell = Image.new("RGB", _CELL, _PAPER)
    ImageDraw.Draw(cell).text((0, 0), digit, font=_font(), fill=_INK)
    return np.asarray(cell.convert("L"), np.float32)


def _nearest(cell: NDArray[np.float32]) -> str:
    return min("0123456789", key=lambda digit: float(np.mean((cell - _template(digit)) ** 2)))

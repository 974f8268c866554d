"""Shapes to pixels, and what a scanner or a camera adds to them."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.drawn import fonts
from benchmarks.drawn.outlines import ICONS, MODELS
from benchmarks.drawn.shapes import (
    Box,
    Disc,
    Icon,
    Line,
    Photo,
    Point,
    Polygon,
    Rect,
    Rgb,
    Shape,
    Slice,
    Text,
    Thing,
    Tick,
)

_FINER = 3  # round shapes are drawn this many times larger, for smooth edges


def paint(image: Image.Image, shapes: tuple[Shape, ...]) -> Image.Image:
    """A copy of `image` with the shapes on it, in order."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        _one(image, draw, shape)
    return image


def _one(image: Image.Image, draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    match shape:
        case Text(at=at, text=text, size=size, face=face, ink=ink, anchor=anchor):
            draw.text((round(at[0]), round(at[1])), text, ink, fonts.load(face, size), anchor)
        case Rect(box=box, fill=fill, outline=outline, width=width, radius=radius):
            draw.rounded_rectangle(_rounded(box), radius, fill, outline, width)
        case Line(points=points, ink=ink, width=width, dash=dash):
            for part in _dashes(points, dash) if dash else [points]:
                draw.line(part, ink, width, joint="curve")
        case Disc(box=box, fill=fill):
            _blend(image, box, fill, lambda pen, w, h: pen.ellipse((0, 0, w - 1, h - 1), 255))
        case Slice(box=box, start=start, end=end, fill=fill):
            _blend(image, box, fill, lambda pen, w, h: pen.pieslice((0, 0, w - 1, h - 1), start, end, 255))
        case Polygon(points=points, fill=fill):
            draw.polygon(points, fill)
        case Icon(box=box, sign=sign, ink=ink):
            _blend(image, box, ink, lambda pen, w, h: _outlines(pen, ICONS[sign], w, h))
        case Tick():
            _tick(image, draw, shape)
        case Photo():
            left, top, *_ = _rounded(shape.box)
            image.paste(_backdrop(shape), (left, top))
        case Thing():
            _thing(image, shape)
        case _:
            raise TypeError(f"cannot paint {shape!r}")


def _rounded(box: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(value) for value in box)
    return left, top, max(left, right), max(top, bottom)


def _dashes(points: tuple[Point, ...], dash: float) -> list[tuple[Point, Point]]:
    parts = []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        count = max(1, round(math.dist((x0, y0), (x1, y1)) / (2 * dash)))
        for i in range(count):
            a, b = i / count, (i + 0.5) / count
            parts.append(((x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))))
    return parts


def _mask(box: Box, fill: Callable[[ImageDraw.ImageDraw, int, int], object]) -> Image.Image:
    left, top, right, bottom = _rounded(box)
    width, height = max(1, right - left), max(1, bottom - top)
    large = Image.new("L", (width * _FINER, height * _FINER))
    fill(ImageDraw.Draw(large), *large.size)
    return large.resize((width, height), Image.Resampling.BOX)


def _blend(image: Image.Image, box: Box, ink: Rgb, fill: Callable[[ImageDraw.ImageDraw, int, int], object]) -> None:
    mask = _mask(box, fill)
    left, top, *_ = _rounded(box)
    image.paste(ink, (left, top, left + mask.width, top + mask.height), mask)


def _outlines(pen: ImageDraw.ImageDraw, outlines: tuple[tuple[Point, ...], ...], width: int, height: int) -> None:
    for outline in outlines:
        pen.polygon([(x * width, y * height) for x, y in outline], 255)


def _tick(image: Image.Image, draw: ImageDraw.ImageDraw, tick: Tick) -> None:
    left, top, right, bottom = tick.box
    side = bottom - top
    pad = side * 0.22
    inner = (left + pad, top + pad, right - pad, bottom - pad)
    match tick.style:
        case "box":
            draw.rectangle(_rounded(tick.box), None, tick.ink, max(1, round(side / 12)))
            if tick.on:
                _one(image, draw, Icon(box=inner, sign="check", ink=tick.ink))
        case "radio":
            draw.ellipse(_rounded(tick.box), None, tick.ink, max(1, round(side / 12)))
            if tick.on:
                _one(image, draw, Disc(box=inner, fill=tick.ink))
        case "switch":
            draw.rounded_rectangle(_rounded(tick.box), side / 2, tick.fill if tick.on else (150, 150, 150))
            knob = right - side if tick.on else left
            _one(image, draw, Disc(box=(knob + 2, top + 2, knob + side - 2, bottom - 2), fill=(250, 250, 250)))
        case style:
            raise ValueError(f"no tick of the style {style}")


def _backdrop(photo: Photo) -> Image.Image:
    left, top, right, bottom = _rounded(photo.box)
    width, height = right - left, bottom - top
    noise = np.random.default_rng(photo.seed)
    rise = np.linspace(0, 1, height)[:, None, None]
    above, below = np.array(photo.above, float), np.array(photo.below, float)
    pixels = np.where(rise < 0.62, above * (0.85 + 0.3 * rise), below * (1.25 - 0.35 * rise))
    pixels = np.broadcast_to(pixels, (height, width, 3)).copy()
    for cells, strength in ((4, 22), (24, 9), (90, 6)):
        small = Image.fromarray(noise.normal(0, strength, (cells, cells)).astype(np.float32))
        pixels += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    pixels += noise.normal(0, 2.5, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _thing(image: Image.Image, thing: Thing) -> None:
    left, top, right, bottom = _rounded(thing.box)
    width, height = right - left, bottom - top
    shadow = (left - 0.06 * width, bottom - 0.07 * height, right + 0.06 * width, bottom + 0.05 * height)
    _blend(image, shadow, (45, 42, 40), lambda pen, w, h: pen.ellipse((0, 0, w - 1, h - 1), 110))
    mask = _mask(thing.box, lambda pen, w, h: _outlines(pen, (MODELS[thing.model],), w, h))
    noise = np.random.default_rng(thing.seed)
    across = np.linspace(-1, 1, width)[None, :, None]
    light = 0.68 + 0.42 * np.exp(-((across + 0.3) ** 2) / 0.35)
    pixels = np.broadcast_to(np.array(thing.fill, float) * light, (height, width, 3)) + noise.normal(
        0, 3, (height, width, 1)
    )
    image.paste(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), (left, top), mask)


def ground(size: tuple[int, int], style: str, base: Rgb, other: Rgb, seed: int) -> Image.Image:
    """The empty sheet: plain, paper (slightly rough) or gradient."""
    if style == "plain":
        return Image.new("RGB", size, base)
    noise = np.random.default_rng(seed)
    width, height = size
    pixels = np.broadcast_to(np.array(base, float), (height, width, 3)).copy()
    if style == "gradient":
        share = np.linspace(0, 1, height)[:, None, None]
        pixels = np.broadcast_to(pixels * (1 - share) + np.array(other, float) * share, (height, width, 3)).copy()
    else:
        small = Image.fromarray(noise.normal(0, 4, (height // 16 + 1, width // 16 + 1)).astype(np.float32))
        pixels += np.asarray(small.resize(size, Image.Resampling.BICUBIC))[:, :, None]
        pixels += noise.normal(0, 1.5, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def scanned(image: Image.Image, sigma: float, vignette: float, seed: int) -> Image.Image:
    """Noise of `sigma` grey levels, and corners darker by the share `vignette`. Pixels do not move."""
    noise = np.random.default_rng(seed)
    down, across = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    light = 1 - vignette * (down**2 + across**2) / 2
    grain = noise.normal(0, sigma, (image.height, image.width, 1)).astype(np.float32)
    pixels = np.asarray(image, np.float32) * light[:, :, None] + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

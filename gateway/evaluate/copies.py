"""Benign copies: what happens to a picture on its way that must not make another picture of it.

The one home of these transforms, for `lookalike evaluate`, the benchmarks and the tests. Each takes an upright RGB
picture and returns the bytes of the file that would be uploaded; the same picture always gives the same file. What a
variant's name says is what it does; where it names no format, the file is a PNG.
"""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Transform = Callable[[Image.Image], bytes]
Step = Callable[[Image.Image], Image.Image]
Colour = tuple[int, int, int]

_NOISE_SEED = 3
_ORIENTATION_TAG = 0x0112
# How a picture is stored for each orientation tag, so that the tag turns it upright again.
_STORED: Final = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_KERNELS: Final = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
}


def jpeg(quality: int, **options: Any) -> Transform:
    """4:2:0 unless `subsampling` says otherwise, as nearly every program writes it."""
    return lambda picture: _file(picture, "JPEG", quality=quality, **options)


def webp(quality: int) -> Transform:
    return lambda picture: _file(picture, "WEBP", quality=quality)


def png(picture: Image.Image) -> bytes:
    """Nothing happens to the pixels. Little compressed: it is written to be read once."""
    return _file(picture, "PNG", compress_level=1)


def in_turn(*steps: Step, into: Transform = png) -> Transform:
    """One step after the other, then a file."""

    def copy(picture: Image.Image) -> bytes:
        for step in steps:
            picture = step(picture)
        return into(picture)

    return copy


def turned(orientation: int) -> Transform:
    """Stored as a phone does: lying on its side, with a tag that says so, to be turned upright by the reader."""

    def copy(picture: Image.Image) -> bytes:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        return _file(picture.transpose(_STORED[orientation]), "JPEG", quality=95, exif=exif)

    return copy


def resize(factor: float, kernel: Image.Resampling = Image.Resampling.LANCZOS) -> Step:
    def copy(picture: Image.Image) -> Image.Image:
        width, height = (max(1, round(side * factor)) for side in picture.size)
        return picture.resize((width, height), kernel)

    return copy


def chat(side_max_px: int, quality: int) -> Transform:
    """What a chat app does: a large picture shrunk, any picture compressed with 4:2:0."""

    def copy(picture: Image.Image) -> bytes:
        factor = side_max_px / max(picture.size)
        small = resize(factor)(picture) if factor < 1 else picture
        return jpeg(quality, subsampling=2)(small)

    return copy


def crop(left: float, top: float, right: float, bottom: float) -> Step:
    """These shares of the sides cut away."""

    def copy(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        box = (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
        return picture.crop(box)

    return copy


def border(share: float, colour: Colour) -> Step:
    """A frame as wide as `share` of the longer side."""
    return lambda picture: ImageOps.expand(picture, max(1, round(max(picture.size) * share)), colour)


def gamma(power: float) -> Step:
    curve = [round(255 * (level / 255) ** power) for level in range(256)] * 3
    return lambda picture: picture.point(curve)


def brightness(factor: float) -> Step:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


def contrast(factor: float) -> Step:
    return lambda picture: ImageEnhance.Contrast(picture).enhance(factor)


def saturation(factor: float) -> Step:
    return lambda picture: ImageEnhance.Color(picture).enhance(factor)


def gains(red: float, green: float, blue: float) -> Step:
    """Each channel times its factor: warmer or cooler light."""
    curve = [min(255, round(level * gain)) for gain in (red, green, blue) for level in range(256)]
    return lambda picture: picture.point(curve)


def blur(sigma_px: float) -> Step:
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(sigma_px))


def unsharp(percent: int) -> Step:
    return lambda picture: picture.filter(ImageFilter.UnsharpMask(radius=1.2, percent=percent, threshold=2))


def noise(sigma: float) -> Step:
    """Gaussian noise of `sigma` grey levels, the same for every picture of a size."""

    def copy(picture: Image.Image) -> Image.Image:
        levels = np.asarray(picture, np.float32)
        spread = np.random.default_rng(_NOISE_SEED).standard_normal(levels.shape, np.float32)
        return Image.fromarray(np.clip(np.rint(levels + sigma * spread), 0, 255).astype(np.uint8))

    return copy


def colours(count: int) -> Step:
    """A palette, as a GIF has."""
    return lambda picture: picture.quantize(count, dither=Image.Dither.NONE).convert("RGB")


def on_ground(factor: float, colour: Colour, left: float, top: float, right: float, bottom: float) -> Step:
    """A screenshot of the picture: rescaled, on a flat ground with margins as shares of its new sides."""

    def copy(picture: Image.Image) -> Image.Image:
        shown = resize(factor)(picture)
        width, height = shown.size
        edges = (round(width * left), round(height * top), round(width * right), round(height * bottom))
        return ImageOps.expand(shown, edges, colour)

    return copy


def watermark(text: str, opacity: float) -> Step:
    """A light line of text across the middle."""

    def copy(picture: Image.Image) -> Image.Image:
        font = ImageFont.load_default(max(12, picture.width // 12))
        marked = picture.copy()
        middle = picture.width / 2, picture.height / 2
        ImageDraw.Draw(marked).text(middle, text, font=font, fill=(255, 255, 255), stroke_width=1, anchor="mm",
                                    stroke_fill=(90, 90, 90))  # fmt: skip
        return Image.blend(picture, marked, opacity)

    return copy


def in_browser(factor: float) -> Step:
    """A screenshot of the picture in a browser's window: a tab, buttons and an address above it."""

    def copy(picture: Image.Image) -> Image.Image:
        shown = resize(factor)(picture)
        bar, font = 72, ImageFont.load_default(14)
        window = Image.new("RGB", (max(320, shown.width + 48), shown.height + bar + 48), (255, 255, 255))
        draw = ImageDraw.Draw(window)
        draw.rectangle((0, 0, window.width, bar), fill=(222, 225, 230))
        draw.rounded_rectangle((12, 8, 180, 36), 8, fill=(255, 255, 255))
        draw.text((24, 14), "Picture viewer", font=font, fill=(60, 64, 67))
        draw.rectangle((0, 36, window.width, bar), fill=(255, 255, 255))
        draw.rounded_rectangle((44, 41, window.width - 16, 67), 13, fill=(241, 243, 244))
        draw.text((60, 46), "example.org/pictures/1", font=font, fill=(60, 64, 67))
        window.paste(shown, (24, bar + 24))
        return window

    return copy


def _file(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _as_png(steps: Mapping[str, Step]) -> dict[str, Transform]:
    return {variant: in_turn(step) for variant, step in steps.items()}


_WHITE, _BLACK, _TEAL, _SAND = (255, 255, 255), (0, 0, 0), (20, 110, 120), (214, 200, 170)
_LIGHT_PAGE, _DARK_PAGE = (245, 245, 247), (30, 31, 34)

COPIES: Final[Mapping[str, Mapping[str, Transform]]] = MappingProxyType(
    {
        "metadata": {"png": png},
        "exif-rotation": {f"orientation {tag}": turned(tag) for tag in _STORED},
        "jpeg-high": {f"q{quality}": jpeg(quality) for quality in (75, 85, 95)},
        "jpeg-low": {f"q{quality}": jpeg(quality) for quality in (30, 45, 60)},
        "webp-high": {f"q{quality}": webp(quality) for quality in (80, 90)},
        "webp-low": {f"q{quality}": webp(quality) for quality in (50, 65)},
        "resize": _as_png(
            {
                f"x{factor} {name}": resize(factor, kernel)
                for factor in (0.5, 0.75, 0.9, 1.25, 1.5)
                for name, kernel in _KERNELS.items()
            }
        ),
        "resize-hard": _as_png({"x0.35 lanczos": resize(0.35)}),
        "chat": {f"{side}px q{q}": chat(side, q) for side, q in ((1280, 60), (1280, 75), (1080, 70), (800, 60))},
        "crop": _as_png(
            {f"{share:.0%} per side": crop(share, share, share, share) for share in (0.01, 0.03, 0.05)}
            | {"4% left, 2% top": crop(0.04, 0.02, 0.0, 0.0)}
        ),
        "border": _as_png(
            {
                "3% white": border(0.03, _WHITE),
                "5% black": border(0.05, _BLACK),
                "7% teal": border(0.07, _TEAL),
                "10% white": border(0.10, _WHITE),
                "10% sand": border(0.10, _SAND),
            }
        ),
        "tone": _as_png(
            {f"brightness {factor}": brightness(factor) for factor in (0.88, 0.92, 1.08, 1.12)}
            | {f"contrast {factor}": contrast(factor) for factor in (0.9, 1.1)}
            | {f"gamma {power}": gamma(power) for power in (0.9, 1.1)}
        ),
        "colour": _as_png(
            {
                "saturation 0.85": saturation(0.85),
                "saturation 1.15": saturation(1.15),
                "warm": gains(1.05, 1.0, 0.94),
                "cool": gains(0.95, 1.0, 1.05),
            }
        ),
        "screenshot": _as_png(
            {
                "x0.8 on light": on_ground(0.8, _LIGHT_PAGE, 0.12, 0.08, 0.12, 0.10),
                "x0.65 on dark": on_ground(0.65, _DARK_PAGE, 0.05, 0.15, 0.05, 0.15),
                "x1.2 on white": on_ground(1.2, _WHITE, 0.04, 0.04, 0.04, 0.08),
            }
        ),
        "mild": _as_png(
            {
                "blur 0.5": blur(0.5),
                "blur 0.8": blur(0.8),
                "unsharp": unsharp(70),
                "noise 2": noise(2.0),
                "noise 4": noise(4.0),
                "256 colours": colours(256),
            }
        ),
        "combo": {
            "x0.75, q75": in_turn(resize(0.75), into=jpeg(75)),
            "crop 2%, q80": in_turn(crop(0.02, 0.02, 0.02, 0.02), into=jpeg(80)),
            "border 4%, x0.8, q75": in_turn(border(0.04, _WHITE), resize(0.8), into=jpeg(75)),
            "brightness 1.06, saturation 1.08, webp 80": in_turn(brightness(1.06), saturation(1.08), into=webp(80)),
            "x0.7, brightness 0.94, q70": in_turn(resize(0.7), brightness(0.94), into=jpeg(70)),
        },
        # Reported, and not counted: whether these are still the picture is a question of policy.
        "watermark": _as_png({"text at 25%": watermark("SAMPLE", 0.25)}),
        "browser-chrome": _as_png({"x0.9": in_browser(0.9)}),
        "nearest": _as_png({f"x{factor}": resize(factor, Image.Resampling.NEAREST) for factor in (0.75, 1.3)}),
    }
)
"""Transforms by class and variant."""

POLICY: Final = ("watermark", "browser-chrome", "nearest")
CORE: Final = tuple(name for name in COPIES if name not in POLICY)
"""The classes that a recall over all is counted over."""

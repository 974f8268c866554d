"""A picture file: its size, pixels and view, each only when asked for.

Everything is bounded before it is decoded. What cannot be read raises NotCacheable: the upstream may
still read it, so the request is forwarded. Blocking and CPU-bound; callers use a worker thread.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin

from cache import guard
from cache.keys import digest_bytes
from gateway.question import Bypass, NotCacheable

# Pillow's own limit warns, then raises; ours (`pixels_max`) is checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


def _heif() -> tuple[str, ...]:
    """HEIF (HEIC), where its plug-in is installed. What libheif refuses as too much, it goes on refusing."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return ()
    register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    return ("HEIF",)


# What model servers are sent. Pillow opens far more, some with programs of their own (EPS runs Ghostscript).
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *_heif())
_MARKS: Final = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|GIF8[79]a|BM.{4}\0{4}|II\*\0|MM\0\*|....ftyp(?:avi|he[iv]|mif1)",
    re.DOTALL,
)
_ORIENTATION_TAG: Final = 0x0112
_TURNED: Final = frozenset((5, 6, 7, 8))  # orientations that exchange width and height
_BASELINE_MAX: Final = 255  # a rounding step of everyday JPEG; libjpeg complains of larger ones on standard error
# Modes whose pixels a model sees as their plain RGB rendering. Others (16-bit, float, Lab) are rendered
# differently by different servers: they may hit by their exact pixels, never by likeness.
_PLAIN_MODES: Final = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))


# The media types that servers know, where Pillow has another for the format.
_MEDIA_TYPES: Final = {"MPO": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file as it arrived. `digest` is the SHA-256 of its bytes."""

    data: bytes
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(data, digest_bytes(data))


def is_marked(data: bytes) -> bool:
    """Whether the first bytes are those of a picture of a form that is read here."""
    return _MARKS.match(data) is not None


def media_type(picture: Picture) -> str:
    """What the file is by its own first bytes, whatever a server called it."""
    with _opened(picture) as image:
        form = image.format or ""
        return _MEDIA_TYPES.get(form) or Image.MIME[form]


def size(picture: Picture, pixels_max: int) -> tuple[int, int]:
    """Upright (width, height), from the header alone. Raises NotCacheable if no view of it could be trusted."""
    with _opened(picture) as image:
        # Phones add a gain map or a second view to a JPEG (MPO); every server reads the first alone.
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise NotCacheable(Bypass.PICTURE_ANIMATED)
        if image.width * image.height > pixels_max:
            raise NotCacheable(Bypass.PICTURE_TOO_LARGE)
        return _turned(image.size) if _lies_on_its_side(image) else image.size


def decoded(picture: Picture) -> Image.Image:
    """All its pixels, upright."""
    with _opened(picture) as image:
        return _upright(image)


def pixels(upright: Image.Image) -> str:
    """Digest of the decoded pixels after EXIF rotation: the same through any lossless container or metadata."""
    plain = _plain(upright)
    return digest_bytes(f"{plain.mode} {plain.width}x{plain.height} ".encode() + plain.tobytes())


def view(picture: Picture, upright: Image.Image | None = None) -> guard.View | None:
    """The working copy that embedder and guard look at, alpha on white. None if its mode has no plain rendering.
    Always the same for the same file: `upright`, its pixels, are used only where decoding would give no others."""
    with _opened(picture) as image:
        if image.mode not in _PLAIN_MODES:
            return None
        steps, encoding = _steps(image), _encoding(image)
        if upright is not None and max(upright.size) < 2 * guard.VIEW_SIDE_MAX:
            return guard.view_of(_rgb(upright), upright.size, steps, encoding)
        full = image.size
        # JPEG decoders can scale while decoding, for a fraction of the cost; never below what the guard looks at.
        shrink = guard.VIEW_SIDE_MAX / max(image.size)
        if shrink < 1:
            image.draft("RGB", (max(1, round(image.width * shrink)), max(1, round(image.height * shrink))))
        scaled = full != image.size
        upright = _upright(image)
        if not scaled:
            full = upright.size
        elif _lies_on_its_side(image):
            full = _turned(full)
        return guard.view_of(_rgb(upright), full, steps, encoding)


def _steps(image: Image.Image) -> guard.Steps | None:
    """By how much a JPEG file rounds each frequency of its brightness. None for other files, and for pictures that
    EXIF turns: their blocks do not lie where the guard would look for them."""
    tables = _rounding(image)
    return np.array(tables[0], np.float32).reshape(8, 8) if tables and _orientation(image) == 1 else None


def _encoding(image: Image.Image) -> guard.Encoding | None:
    """How a JPEG file was encoded, where Pillow can encode other pixels the same way."""
    tables, is_grey = _rounding(image), image.mode == "L"
    if not tables or image.info.get("adobe_transform") == 0:  # no brightness and colour, but red, green and blue
        return None
    sampling = 0 if is_grey else JpegImagePlugin.get_sampling(image)
    if len(tables) > (1 if is_grey else 2) or sampling < 0 or max(map(max, tables.values())) > _BASELINE_MAX:
        return None
    return guard.Encoding(tuple(map(tuple, tables.values())), sampling, is_grey, _orientation(image))


def _rounding(image: Image.Image) -> dict[int, Sequence[int]]:
    """The rounding tables of a JPEG file, brightness first; none for other files and other colour spaces."""
    tables: dict[int, Sequence[int]] = getattr(image, "quantization", {})
    known = image.mode in ("L", "RGB") and 0 in tables and all(len(table) == 64 for table in tables.values())
    return dict(sorted(tables.items())) if known else {}


def _orientation(image: Image.Image) -> int:
    """How EXIF turns it: 1 (as it lies) to 8."""
    number = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)  # PngImageFile's own would decode the pixels
    return number if number in range(1, 9) else 1


def rgb(upright: Image.Image) -> NDArray[np.uint8] | None:
    """All the pixels of a decoded picture as the guard would see them, alpha on white; None as for `view`."""
    return _rgb(upright) if upright.mode in _PLAIN_MODES else None


class _opened:
    """An open Pillow image whose every failure is one exception: the file cannot be read here."""

    def __init__(self, picture: Picture) -> None:
        self._data = picture.data

    def __enter__(self) -> Image.Image:
        try:
            self._image = Image.open(BytesIO(self._data), formats=_FORMATS)
        except Exception as error:
            raise NotCacheable(Bypass.PICTURE_UNREADABLE) from error
        return self._image

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._image.close()
        # Pillow's plug-ins raise anything at all on a broken file (OSError, SyntaxError, struct.error, ...).
        if isinstance(error, Exception) and not isinstance(error, NotCacheable):
            raise NotCacheable(Bypass.PICTURE_UNREADABLE) from error


def _lies_on_its_side(image: Image.Image) -> bool:
    """Whether EXIF rotation exchanges width and height, from the header."""
    if image.format == "TIFF":  # Pillow has turned its size already
        return False
    return _orientation(image) in _TURNED


def _turned(size: tuple[int, int]) -> tuple[int, int]:
    return size[1], size[0]


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image)


def _plain(image: Image.Image) -> Image.Image:
    """One mode for one look: grey and palette as RGB(A), alpha that hides nothing dropped."""
    if image.mode not in _PLAIN_MODES or image.mode in ("CMYK", "YCbCr"):
        return image
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        lowest, _ = with_alpha.getchannel("A").getextrema()
        return with_alpha.convert("RGB") if lowest == 255 else with_alpha
    return image.convert("RGB")


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    plain = _plain(image)
    if plain.mode == "RGBA":
        white = Image.new("RGBA", plain.size, (255, 255, 255, 255))
        plain = Image.alpha_composite(white, plain)
    return np.asarray(plain.convert("RGB"))

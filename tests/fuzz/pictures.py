"""Picture files of every format, and the ways in which requests spell them.

Only `NotCacheable` is raised; a file is read alike every time; nothing larger than the limit is decoded; what the guard
keeps of it is read again. Base64 is what Python's own decoder makes of it.
"""

import base64
import warnings

from PIL import Image

from cache import guard
from gateway import pictures as read
from gateway import spelling
from gateway.pictures import Picture
from gateway.question import NotCacheable, PictureRef
from tests.fuzz.target import Check, Target
from tests.gateway.test_pictures import RGB, SMOOTH, file
from tests.gateway.test_pictures_broken import FILES, WEBP_OF_268_MEGAPIXELS

PIXELS_MAX = 1_000_000
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")


def a_file(data: bytes) -> None:
    picture = Picture.of(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what it can still read
            _look(picture)
    except NotCacheable:
        pass


def _look(picture: Picture) -> None:
    width, height = read.size(picture, PIXELS_MAX)
    assert 0 < width * height <= PIXELS_MAX
    upright = read.decoded(picture)
    digest, first = read.pixels(upright), read.view(picture)
    assert upright.width * upright.height <= PIXELS_MAX
    assert read.pixels(read.decoded(picture)) == digest  # a decoder that shows what lay in memory would not agree
    again = read.view(picture, upright)
    assert (first is None) == (again is None)
    assert read.media_type(picture).startswith("image/")
    if first is not None and again is not None:
        assert guard.view.same_pixels(first, again)
        assert (first.width, first.height) == (width, height) == upright.size
        kept = guard.decode(guard.encode(first))
        assert (kept.width, kept.height) == (width, height)


def base64_is_read_as_everybody_does(data: bytes) -> None:
    """A reference as text: what is read of it is what Python reads of it, or nothing is."""
    text = data.decode("latin-1")
    for ref in (PictureRef(text), PictureRef(f"data:image/png;base64,{text}"), PictureRef(memoryview(data))):
        try:
            found = spelling.load(ref).data
        except NotCacheable:
            continue
        plain = bytes(ref.url).decode("latin-1") if isinstance(ref.url, memoryview) else ref.url
        spelt = plain.rpartition(",")[2]
        stripped = "".join(spelt.split(" ")).translate(str.maketrans("", "", "\t\r\n")).rstrip("=")
        assert base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True) == found


def a_file_is_spelt_and_read(data: bytes) -> None:
    if data:
        ref = PictureRef(f"data:image/png;base64,{base64.b64encode(data).decode()}")
        assert spelling.load(ref).data == data


def _saved(mode: str, form: str) -> bytes | None:
    try:
        return file(RGB.convert("L").convert(mode) if mode in ("I;16", "I", "F") else RGB.convert(mode), form)
    except (OSError, ValueError, KeyError):
        return None


def target() -> Target:
    forms = [data for mode in _MODES for form in ("PNG", "JPEG", "TIFF", "WEBP", "BMP") if (data := _saved(mode, form))]
    small = SMOOTH.resize((16, 12))
    more = [
        bytes.fromhex(WEBP_OF_268_MEGAPIXELS),
        file(small, "TIFF", compression="tiff_deflate"),
        file(small, "TIFF", compression="jpeg"),
        file(small, "PNG", save_all=True, append_images=[small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]),
        file(small, "WEBP", lossless=True),
    ]
    texts = [base64.b64encode(data) for data in (FILES["gif"], FILES["png"], b"")]
    checks = [
        Check("file", a_file, [*FILES.values(), *forms, *more]),
        Check("base64", base64_is_read_as_everybody_does, [*texts, b"data:image/png;base64,aGVsbG8"]),
        Check("spelt", a_file_is_spelt_and_read, [b"hello", FILES["gif"]]),
    ]
    return Target("pictures", checks, bytes_max=65_536)

"""Every form of file that servers are sent, seen as vLLM sees it: upright, and what is transparent on white."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gateway import pictures
from gateway.pictures import Picture
from gateway.question import Bypass
from tests.examples import examples
from tests.gateway.test_pictures import PIXELS_MAX, RGB, SMOOTH, deep, file, pixels, refusal, turned_by
from tests.gateway.test_pictures_broken import look_at

HEIC = {path.stem: path.read_bytes() for path in (Path(__file__).parents[1] / "files").glob("*.heic")}


def as_vllm(data: bytes) -> np.ndarray:
    """vLLM 0.33's way from a file to RGB, in its own steps."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.split()[3])
        image = white
    return np.asarray(image.convert("RGB"))


def seen(data: bytes) -> np.ndarray:
    view = pictures.view(Picture.of(data))
    assert view is not None
    return view.rgb


def forms() -> Iterator[tuple[str, bytes]]:
    alpha = SMOOTH.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(SMOOTH.size))
    palette = SMOOTH.quantize(16)
    yield "grey png", file(SMOOTH.convert("L"))
    yield "one bit png", file(SMOOTH.convert("1"))
    yield "grey and alpha png", file(alpha.convert("LA"))
    yield "alpha png", file(alpha)
    yield "palette png", file(palette)
    yield "palette png of two bits", file(SMOOTH.quantize(4), bits=2)
    yield "palette png, one entry transparent", file(palette, transparency=3)
    yield "palette png, each entry as transparent as it likes", file(palette, transparency=bytes(range(0, 256, 16)))
    yield "png, one colour transparent", file(SMOOTH, transparency=SMOOTH.getpixel((9, 9)))
    yield "grey png, one grey transparent", file(SMOOTH.convert("L"), transparency=99)
    yield "png, turned by EXIF, with alpha", file(alpha, exif=turned_by(6))
    yield "grey jpeg", file(SMOOTH.convert("L"), "JPEG")
    yield "progressive jpeg", file(SMOOTH, "JPEG", progressive=True)
    yield "jpeg without chroma subsampling", file(SMOOTH, "JPEG", subsampling=0)
    yield "jpeg with rubbish behind it", file(SMOOTH, "JPEG") + b"rubbish" * 99
    yield "cmyk jpeg", file(SMOOTH.convert("CMYK"), "JPEG")
    yield "jpeg, turned by EXIF", file(SMOOTH, "JPEG", exif=turned_by(8))
    yield "webp", file(SMOOTH, "WEBP")
    yield "webp with alpha, lossless", file(alpha, "WEBP", lossless=True)
    yield "webp, turned by EXIF", file(SMOOTH, "WEBP", exif=turned_by(5))
    yield "gif", file(SMOOTH, "GIF")
    yield "gif, one colour transparent", file(palette, "GIF", transparency=2)
    yield "interlaced gif", file(SMOOTH.convert("L"), "GIF", interlace=1)
    yield "bmp", file(SMOOTH, "BMP")
    yield "grey bmp", file(SMOOTH.convert("L"), "BMP")
    yield "one bit bmp", file(SMOOTH.convert("1"), "BMP")
    yield "bmp from the top down", top_down(file(SMOOTH, "BMP"))
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield f"tiff ({compression})", file(SMOOTH, "TIFF", compression=compression)
    yield "cmyk tiff", file(SMOOTH.convert("CMYK"), "TIFF")
    yield "tiff, turned by EXIF", file(SMOOTH, "TIFF", exif=turned_by(7))
    yield "fax tiff", file(SMOOTH.convert("1"), "TIFF", compression="group4")
    yield "avif", file(SMOOTH, "AVIF")
    yield "avif with alpha", file(alpha, "AVIF")
    yield "avif, turned by EXIF", file(SMOOTH, "AVIF", exif=turned_by(6))
    yield "heic", HEIC["still"]
    yield "heic with alpha", HEIC["alpha"]
    yield "heic of ten bits", HEIC["deep"]
    yield "png of sixteen bits in each colour", sixteen_bits()
    yield "interlaced png", interlaced()


def top_down(bmp: bytes) -> bytes:
    height = struct.unpack_from("<i", bmp, 22)[0]
    return bmp[:22] + struct.pack("<i", -height) + bmp[26:]


def png(bits: int, colour: int, rows: bytes, width: int = 8, height: int = 8, interlace: int = 0) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def sixteen_bits(low: int = 0) -> bytes:
    row = b"\0" + b"".join(struct.pack(">HHH", column * 8000 + low, 300, 60_000) for column in range(8))
    return png(16, 2, row * 8)


def interlaced() -> bytes:
    """Adam7: seven passes over the grid, each a picture of its own."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for y, x, down, along in passes for row in grey[y::down, x::along])
    return png(8, 0, rows, interlace=1)


FORMS = dict(forms())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_seen_as_vllm_sees_it(form: str) -> None:
    theirs, ours = as_vllm(FORMS[form]), seen(FORMS[form])

    assert theirs.shape == ours.shape
    assert np.abs(theirs.astype(int) - ours).max() <= 1  # two ways to round a blend
    assert pictures.size(Picture.of(FORMS[form]), PIXELS_MAX) == theirs.shape[1::-1]


@pytest.mark.parametrize("form", FORMS)
def test_the_first_bytes_of_every_form_are_known(form: str) -> None:
    assert pictures.is_marked(FORMS[form])
    assert not pictures.is_marked(b"x" + FORMS[form])


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        *(("alpha png", "image/png"), ("cmyk jpeg", "image/jpeg"), ("webp", "image/webp"), ("gif", "image/gif")),
        *(("bmp", "image/bmp"), ("cmyk tiff", "image/tiff"), ("avif", "image/avif"), ("heic", "image/heif")),
    ],
)
def test_a_file_says_itself_what_it_is(form: str, media_type: str) -> None:
    assert media_type == pictures.media_type(Picture.of(FORMS[form]))


def test_a_phones_jpeg_with_a_second_picture_is_called_a_jpeg() -> None:
    data = file(RGB, "MPO", save_all=True, append_images=[SMOOTH.copy()])

    assert pictures.media_type(Picture.of(data)) == "image/jpeg"
    assert np.array_equal(as_vllm(data), seen(data))


def test_a_colour_that_is_transparent_in_one_file_alone_makes_another_picture() -> None:
    digests = {pixels(Picture.of(FORMS[form])) for form in FORMS if form.startswith("palette png")}

    assert len(digests) == 4


def test_of_sixteen_bits_per_colour_eight_are_seen_by_servers_and_here() -> None:
    assert pixels(Picture.of(sixteen_bits())) == pixels(Picture.of(sixteen_bits(low=1)))


def test_grey_of_sixteen_bits_has_no_view_and_is_told_apart_in_every_bit() -> None:
    one, other = Picture.of(file(deep(1000))), Picture.of(file(deep(1001)))

    assert pictures.view(one) is None
    assert pixels(one) != pixels(other)


def test_a_cmyk_jpeg_which_adobes_convention_writes_upside_down_is_not_its_own_negative() -> None:
    data = FORMS["cmyk jpeg"]

    assert b"Adobe" in data
    assert np.abs(seen(data).astype(int) - np.asarray(SMOOTH)).mean() < 12


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_second_frame_makes_any_form_animated(form: str) -> None:
    moving = file(RGB, form, save_all=True, append_images=[SMOOTH])

    assert Bypass.PICTURE_ANIMATED is refusal(lambda: pictures.size(Picture.of(moving), PIXELS_MAX))


def test_a_heic_of_several_pictures_is_animated() -> None:
    assert Bypass.PICTURE_ANIMATED is refusal(lambda: pictures.size(Picture.of(HEIC["two"]), PIXELS_MAX))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_one_frame_in_a_form_that_could_move_is_a_still(form: str) -> None:
    options: dict[str, Any] = {"save_all": True, "append_images": []}

    assert pictures.size(Picture.of(file(RGB, form, **options)), PIXELS_MAX) == RGB.size


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["still", "alpha"])
def test_a_damaged_heic_is_read_or_refused_and_nothing_else_is_raised(name: str) -> None:
    @examples(60)
    @given(st.integers(0, len(HEIC[name]) - 1), st.integers(0, 255))
    def check(place: int, value: int) -> None:
        data = bytearray(HEIC[name])
        data[place] = value
        try:
            look_at(bytes(data))
        except pictures.NotCacheable as refused:
            refusals.add(refused.why)

    refusals: set[Bypass] = set()
    check()

    assert refusals <= {Bypass.PICTURE_UNREADABLE, Bypass.PICTURE_TOO_LARGE, Bypass.PICTURE_ANIMATED}


@pytest.mark.parametrize("cut", [10, 100, 300, 500])
def test_a_cut_heic_is_unreadable(cut: int) -> None:
    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: look_at(HEIC["still"][:cut]))


def test_a_heic_is_weighed_by_its_header() -> None:
    assert Bypass.PICTURE_TOO_LARGE is refusal(lambda: pictures.size(Picture.of(HEIC["still"]), 48 * 32 - 1))

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import pictures
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable
from tests.examples import examples
from tests.gateway.test_pictures import PIXELS_MAX, RGB, SMOOTH, file, picture, refusal, turned_by

WEBP_OF_268_MEGAPIXELS = "524946461a000000574542505650384c0e0000002ffebfff0f071011fd0f4444ff03"


def pixels(file: Picture) -> str:
    return pictures.pixels(pictures.decoded(file))


def png_of(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = picture(png_of(60_000, 60_000, zlib.compress(bytes(1_000_000))))
    webp = picture(bytes.fromhex(WEBP_OF_268_MEGAPIXELS))

    assert Bypass.PICTURE_TOO_LARGE is refusal(lambda: pictures.size(bomb, 50_000_000))
    assert Bypass.PICTURE_TOO_LARGE is refusal(lambda: pictures.size(webp, 50_000_000))


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (2**31, 2**31 - 1)])
def test_a_picture_of_an_impossible_size_is_refused(width: int, height: int) -> None:
    odd = picture(png_of(width, height, zlib.compress(b"")))

    assert refusal(lambda: pictures.size(odd, PIXELS_MAX)) in (Bypass.PICTURE_UNREADABLE, Bypass.PICTURE_TOO_LARGE)


FILES = {
    "png": file(SMOOTH, exif=turned_by(6)),
    "palette": file(SMOOTH.convert("P"), transparency=3),
    "jpeg": file(SMOOTH, "JPEG", exif=turned_by(6)),
    "progressive": file(SMOOTH, "JPEG", progressive=True),
    "webp": file(SMOOTH, "WEBP", exif=turned_by(6)),
    "gif": file(SMOOTH, "GIF"),
    "moving": file(SMOOTH, "GIF", save_all=True, append_images=[RGB]),
    "bmp": file(SMOOTH, "BMP"),
    "tiff": file(SMOOTH, "TIFF", exif=turned_by(6)),
    "lzw": file(SMOOTH, "TIFF", compression="tiff_lzw"),
    "avif": file(SMOOTH, "AVIF"),
}


def look_at(data: bytes) -> None:
    """Everything that is done to a file, in the order in which it is done."""
    broken = Picture(data, "digest")
    pictures.size(broken, PIXELS_MAX)
    pixels(broken)
    pictures.view(broken)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it can still read
@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_read_or_refused_and_nothing_else_is_raised(kind: str) -> None:
    @examples(40)
    @given(st.randoms(use_true_random=False))
    def check(chance: random.Random) -> None:
        data = bytearray(FILES[kind])
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            place = chance.randrange(min(len(data), chance.choice((64, 256, 100_000))))
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        try:
            look_at(bytes(data))
        except NotCacheable as refused:
            refusals.add(refused.why)

    refusals: set[Bypass] = set()
    check()

    assert refusals <= {Bypass.PICTURE_UNREADABLE, Bypass.PICTURE_TOO_LARGE, Bypass.PICTURE_ANIMATED}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", sorted(FILES.keys() - {"moving"}))  # a cut one holds a whole first frame
def test_a_file_cut_anywhere_is_unreadable(kind: str) -> None:
    whole = FILES[kind]
    for end in range(0, len(whole) // 2, max(1, len(whole) // 60)):
        assert Bypass.PICTURE_UNREADABLE is refusal(lambda end=end: look_at(whole[:end])), end


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"<svg/>", b"%PDF-1.7", bytes(1000)]
)
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: look_at(data))

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cache.guard import VIEW_SIDE_MAX
from gateway import pictures
from gateway.pictures import Picture
from gateway.question import Bypass, NotCacheable

PIXELS_MAX = 1_000_000
COARSE = b"\xff\xdb\x00\x83\x10" + b"\x01\x00" * 64  # a rounding table of 256 throughout, two bytes each
ORIENTATION = 0x0112
NOISE = np.random.default_rng(7).integers(0, 256, (30, 50, 4), np.uint8)
RGB = Image.fromarray(NOISE[:, :, :3])
SMOOTH = Image.linear_gradient("L").resize((50, 30)).convert("RGB")
TURNS = [  # what each EXIF orientation asks a viewer to do
    *(None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM),
    *(Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90),
]


def pixels(file: Picture) -> str:
    return pictures.pixels(pictures.decoded(file))


def file(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    data = BytesIO()
    image.copy().save(data, form, **options)  # Pillow leaves on an image how it encoded it
    return data.getvalue()


def picture(data: bytes | Image.Image, form: str = "PNG", **options: Any) -> Picture:
    return Picture(file(data, form, **options) if isinstance(data, Image.Image) else data, "digest")


def turned_by(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def refusal(work: Callable[[], object]) -> Bypass:
    with pytest.raises(NotCacheable) as refused:
        work()
    return refused.value.why


def view(data: bytes | Image.Image, form: str = "PNG", **options: Any) -> Any:
    found = pictures.view(picture(data, form, **options))
    assert found is not None
    return found


# Size and rotation


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_size_is_width_and_height(form: str) -> None:
    assert pictures.size(picture(RGB, form), PIXELS_MAX) == (50, 30)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_seen_upright_in_every_respect(form: str, orientation: int) -> None:
    turned = picture(RGB, form, exif=turned_by(orientation), **({"lossless": True} if form == "WEBP" else {}))
    plain = Image.open(BytesIO(picture(RGB, form, **({"lossless": True} if form == "WEBP" else {})).data)).convert(
        "RGB"
    )
    turn = TURNS[orientation - 1]
    upright = plain if turn is None else plain.transpose(turn)
    seen = pictures.view(turned)

    assert upright.size == pictures.size(turned, PIXELS_MAX)
    assert pixels(picture(upright)) == pixels(turned)
    assert seen is not None
    assert upright.size == (seen.width, seen.height)
    assert np.array_equal(np.asarray(upright), seen.rgb)


def test_the_limit_counts_pixels_and_includes_its_last() -> None:
    assert pictures.size(picture(RGB), 50 * 30) == (50, 30)
    assert Bypass.PICTURE_TOO_LARGE is refusal(lambda: pictures.size(picture(RGB), 50 * 30 - 1))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_more_than_one_frame_is_refused(form: str) -> None:
    moving = picture(RGB, form, save_all=True, append_images=[SMOOTH])

    assert Bypass.PICTURE_ANIMATED is refusal(lambda: pictures.size(moving, PIXELS_MAX))


@pytest.mark.parametrize("form", ["EPS", "PDF", "ICO", "PPM", "JPEG2000", "TGA", "DDS"])
def test_a_form_that_is_not_sent_to_models_is_never_opened(form: str) -> None:
    odd = picture(RGB, form)

    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: pictures.size(odd, PIXELS_MAX))
    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: pixels(odd))
    assert Bypass.PICTURE_UNREADABLE is refusal(lambda: pictures.view(odd))


# Pixels


def test_the_pixels_are_the_same_through_any_lossless_file() -> None:
    digests = {
        pixels(picture(RGB, form, **options))
        for form, options in [
            *(
                ("PNG", {}),
                ("PNG", {"compress_level": 0}),
                ("PNG", {"exif": turned_by(1)}),
                ("PNG", {"dpi": (300, 300)}),
            ),
            *(("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})),
            ("PNG", {"icc_profile": b"not a real profile" * 10}),
        ]
    }

    assert len(digests) == 1


@pytest.mark.parametrize("place", [(0, 0), (49, 29), (25, 10)])
@pytest.mark.parametrize("channel", range(3))
def test_one_changed_pixel_is_another_picture(place: tuple[int, int], channel: int) -> None:
    changed = NOISE[:, :, :3].copy()
    changed[place[1], place[0], channel] ^= 1

    assert pixels(picture(RGB)) != pixels(picture(Image.fromarray(changed)))


def test_the_same_bytes_in_another_shape_are_another_picture() -> None:
    flat = NOISE[:, :, :3]

    assert pixels(picture(RGB)) != pixels(picture(Image.fromarray(flat.reshape(50, 30, 3))))


def test_grey_and_palette_are_the_same_as_their_plain_rendering() -> None:
    for image in (SMOOTH.convert("L"), SMOOTH.convert("P"), SMOOTH.convert("1"), SMOOTH.convert("LA")):
        assert pixels(picture(image)) == pixels(picture(image.convert("RGB"))), image.mode


def test_alpha_counts_only_where_it_hides_something() -> None:
    opaque = RGB.convert("RGBA")
    hidden = opaque.copy()
    hidden.putpixel((3, 3), (*opaque.getpixel((3, 3))[:3], 254))

    assert pixels(picture(RGB)) == pixels(picture(opaque))
    assert pixels(picture(RGB)) != pixels(picture(hidden))


def test_what_lies_under_full_transparency_counts() -> None:
    one, other = (Image.new("RGBA", (4, 4), (*colour, 0)) for colour in ((255, 0, 0), (0, 255, 0)))

    assert pixels(picture(one)) != pixels(picture(other))


def test_a_transparent_colour_counts_like_alpha() -> None:
    keyed = picture(SMOOTH, transparency=SMOOTH.getpixel((3, 3)))

    assert pixels(picture(SMOOTH)) != pixels(keyed)


def deep(value: int) -> Image.Image:
    return Image.fromarray(np.full((30, 50), value, np.uint16))


def test_sixteen_bits_are_told_apart_in_all_of_them() -> None:
    assert pixels(picture(deep(1000))) == pixels(picture(deep(1000), compress_level=0))
    assert pixels(picture(deep(1000))) != pixels(picture(deep(1001)))


def test_cmyk_is_told_apart_by_its_own_values() -> None:
    one, other = (Image.new("CMYK", (50, 30), ink) for ink in ((0, 0, 0, 255), (255, 255, 255, 255)))

    assert one.convert("RGB").tobytes() == other.convert("RGB").tobytes()
    assert pixels(picture(one, "TIFF")) != pixels(picture(other, "TIFF"))


# Views


def test_a_view_is_the_picture_itself_while_it_is_small() -> None:
    seen = view(RGB)

    assert np.array_equal(NOISE[:, :, :3], seen.rgb)
    assert (seen.width, seen.height) == (50, 30)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_plain_mode_has_a_view(mode: str) -> None:
    assert view(SMOOTH.convert(mode), "TIFF" if mode == "CMYK" else "PNG").rgb.shape == (30, 50, 3)


def test_a_mode_that_servers_render_differently_has_no_view() -> None:
    assert pictures.view(picture(deep(1000))) is None
    assert pictures.view(picture(Image.new("F", (5, 5)), "TIFF")) is None
    assert pictures.view(picture(Image.new("I", (5, 5)), "TIFF")) is None


def test_what_is_transparent_is_white() -> None:
    assert (view(Image.new("RGBA", (4, 4), (9, 9, 9, 0))).rgb == 255).all()
    assert (view(Image.new("P", (4, 4), 0), transparency=0).rgb == 255).all()
    assert (view(Image.new("RGB", (4, 4), (9, 9, 9)), transparency=(9, 9, 9)).rgb == 255).all()
    assert 120 < view(Image.new("RGBA", (4, 4), (0, 0, 0, 128))).rgb.mean() < 135


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_view_decoded_at_a_smaller_scale_is_close_to_the_full_decode(orientation: int) -> None:
    scene = RGB.crop((0, 0, 50, 2)).resize((2 * VIEW_SIDE_MAX + 40, 100), Image.Resampling.BICUBIC)
    fast = view(scene, "JPEG", quality=90, exif=turned_by(orientation))
    decoded = Image.open(BytesIO(file(scene, "JPEG", quality=90)))
    full = view(decoded.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else decoded)

    assert (full.width, full.height) == (fast.width, fast.height)
    assert full.rgb.shape == fast.rgb.shape
    assert max(fast.rgb.shape) <= VIEW_SIDE_MAX
    assert np.abs(full.rgb.astype(int) - fast.rgb).mean() < 2


@pytest.mark.parametrize("size", [(5 * VIEW_SIDE_MAX, 1), (1, 5 * VIEW_SIDE_MAX), (VIEW_SIDE_MAX + 1, 3), (1, 1)])
def test_a_view_of_the_thinnest_picture_is_made(size: tuple[int, int]) -> None:
    seen = view(Image.new("RGB", size, (200, 0, 0)), "JPEG")

    assert size == (seen.width, seen.height)
    assert max(seen.rgb.shape) <= VIEW_SIDE_MAX


def test_a_phones_jpeg_with_a_second_picture_behind_the_first_is_a_still() -> None:
    file = BytesIO()
    first = Image.new("RGB", (40, 30), "red")
    first.save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30), "blue")])
    picture = Picture.of(file.getvalue())

    assert pictures.size(picture, 10**6) == (40, 30)
    assert pictures.view(picture) is not None


def test_a_view_from_pixels_decoded_already_is_the_view_from_the_file() -> None:
    rng = np.random.default_rng(1)
    for size in ((300, 200), (2000, 1500), (3300, 40)):
        noise = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
        file = picture(noise, "JPEG")
        alone, shared = pictures.view(file), pictures.view(file, pictures.decoded(file))

        assert alone is not None
        assert shared is not None
        assert (alone.width, alone.height) == (shared.width, shared.height)
        assert np.array_equal(alone.rgb, shared.rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", [("L", 0), ("RGB", 0), ("RGB", 1), ("RGB", 2)])
def test_the_encoding_of_a_jpeg_file_does_again_what_the_file_did(form: tuple[str, int], orientation: int) -> None:
    mode, sampling = form
    lying, turn = RGB.resize((83, 54)).convert(mode), TURNS[orientation - 1]
    upright = lying if turn is None else lying.transpose(turn)
    seen = view(lying, "JPEG", quality=60, subsampling=sampling, exif=turned_by(orientation))

    assert np.array_equal(seen.encoding.applied(np.asarray(upright.convert("RGB"))), seen.rgb)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_only_a_jpeg_file_tells_how_it_was_encoded(form: str) -> None:
    assert view(RGB, form).encoding is None
    assert view(RGB.convert("CMYK"), "JPEG").encoding is None
    assert view(RGB, "JPEG").encoding is not None


def test_a_jpeg_file_that_cannot_be_encoded_again_tells_nothing() -> None:
    own = view(RGB, "JPEG", quality=70, keep_rgb=True)  # red, green and blue, with one table for all
    three = [[n + 1] * 64 for n in range(3)]

    assert own.encoding is None
    assert view(RGB, "JPEG", qtables=three).encoding is None
    assert view(RGB, "JPEG", qtables=[[255] * 64]).encoding is not None
    coarse = file(RGB, "JPEG", qtables=[[255] * 64]).replace(b"\xff\xdb\x00\x43\x00" + b"\xff" * 64, COARSE)
    assert view(coarse).encoding is None

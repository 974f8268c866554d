"""The parts that explain a copy, each by itself: what it undoes exactly, and what it must not."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from cache import guard
from cache.guard.blocks import rounding
from cache.guard.kernel import fit_kernel
from cache.guard.laying import Grid, lay_on
from cache.guard.pixels import Plane, as_plane, gray
from cache.guard.placement import WHOLE, Box, Placement, box_to_box
from cache.guard.resampling import resized_like
from cache.guard.scene import Scene
from cache.guard.writing import writing_in
from cache.verdict import Different, Doubt, Same
from tests.cache.test_guard import both, compared, page, resized, scene, through, view

KERNELS = ["LANCZOS", "BICUBIC", "BILINEAR", "BOX", "HAMMING", "NEAREST"]


def luma(picture: Image.Image) -> Plane:
    return as_plane(gray(np.asarray(picture)))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("factor", [0.4, 0.73, 1.5])
def test_the_resampler_is_found_and_leaves_nothing(name: str, factor: float) -> None:
    picture = page()
    copy = picture.resize((round(640 * factor), round(720 * factor)), Image.Resampling[name])

    assert np.array_equal(resized_like(np.asarray(picture), np.asarray(copy)), np.asarray(copy))


@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_resamplers_that_do_not_average_are_known_too(how: int) -> None:
    picture = np.asarray(page())
    copy = np.asarray(cv2.resize(picture, (400, 450), interpolation=how), np.uint8)

    assert np.array_equal(resized_like(picture, copy), copy)


def test_a_small_enlargement_is_the_same_and_a_smaller_original_is_not_served_for_more() -> None:
    assert isinstance(compared(page(), resized(1.4)(page())), Same)
    assert isinstance(compared(resized(0.7)(page()), page()), Different)


def astray(placement: Placement, size: tuple[int, int], px: float) -> Placement:
    """Off by some of the first picture's pixels, as a placement that was measured is."""
    away = px / size[0], -px / size[1]
    return box_to_box(Box(away[0], away[1], 1 + away[0], 1 + away[1]), placement.image_of(WHOLE))


@pytest.mark.parametrize("name", KERNELS[:5])
@pytest.mark.parametrize("factor", [0.65, 1.0, 1.2])
def test_what_was_resized_and_pasted_is_laid_to_the_last_level(name: str, factor: float) -> None:
    picture = page()
    shown = picture.resize((round(640 * factor), round(720 * factor)), Image.Resampling[name])
    sheet = Image.new("RGB", (shown.width + 90, shown.height + 60), (30, 31, 34))
    sheet.paste(shown, (37, 21))
    wide, high = sheet.size
    there = Box(-37 / shown.width, -21 / shown.height, (wide - 37) / shown.width, (high - 21) / shown.height)
    laid = lay_on(
        Grid.of(Scene(view(sheet)), 1600, is_asked=True),
        Scene(view(picture)),
        astray(box_to_box(WHOLE, there), (wide, high), 0.1),
    )

    assert (laid.rows, laid.columns) == (slice(21, 21 + shown.height), slice(37, 37 + shown.width))
    assert np.array_equal(laid.pixels, np.asarray(shown))


@pytest.mark.parametrize("name", KERNELS[:5])
def test_what_was_cut_and_then_resized_is_laid_to_the_last_level(name: str) -> None:
    picture = page()
    cut = picture.crop((40, 0, 620, 690)).resize((round(580 * 0.8), round(690 * 0.8)), Image.Resampling[name])
    there = Box(40 / 640, 0.0, 620 / 640, 690 / 720)
    laid = lay_on(
        Grid.of(Scene(view(cut)), 1600, is_asked=True),
        Scene(view(picture)),
        astray(box_to_box(WHOLE, there), cut.size, 0.05),
    )

    assert np.array_equal(laid.pixels, np.asarray(cut)[laid.rows, laid.columns])


def test_a_grid_that_was_shrunk_has_no_edges_of_its_own() -> None:
    sheet = Image.new("RGB", (800, 800), "white")
    sheet.paste(page(), (40, 20))
    there = Box(-40 / 640, -20 / 720, 760 / 640, 780 / 720)  # half as large, the edges lie on whole pixels by chance
    laid = lay_on(Grid.of(Scene(view(sheet)), 400, is_asked=True), Scene(view(page())), box_to_box(WHOLE, there))

    assert laid.rows.start >= 12  # interpolated, but for its edges; not 10


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.1])
def test_the_kernel_of_a_blur_is_that_blur(sigma: float) -> None:
    plane = luma(scene())
    soft = as_plane(cv2.GaussianBlur(plane, (0, 0), sigma))
    kernel = fit_kernel(plane, soft)

    assert kernel is not None
    assert kernel.taps.sum() == pytest.approx(1, abs=1e-4)
    assert kernel.sigma_px == pytest.approx(sigma, abs=0.15)
    assert float(np.abs(kernel.applied(plane) - soft).max()) < 6


def test_what_needs_no_filter_gets_none() -> None:
    plane = luma(scene())

    assert fit_kernel(plane, plane) is None
    assert fit_kernel(np.full((200, 200), 90, np.float32), np.full((200, 200), 90, np.float32)) is None


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("cut", [0, 3])
def test_an_encoding_stays_within_its_own_steps_and_a_spot_does_not(quality: int, cut: int) -> None:
    picture = page().convert("L").point([60 + level // 2 for level in range(256)])  # nothing to be clipped
    copy = through("JPEG", quality)(picture)
    difference = (luma(picture.convert("RGB")) - luma(copy))[cut:, cut:]
    spot = difference.copy()
    spot[:6, :6] += 90  # in a block that is cut off where `cut` is not 0

    within = rounding(difference, copy.steps, (-cut % 8, -cut % 8))
    beyond = rounding(spot, copy.steps, (-cut % 8, -cut % 8))

    assert within.shape == beyond.shape == difference.shape
    assert float(within[8:, 8:].max()) <= 0.6
    assert float(beyond[:5, :5].min()) > 1.5


@pytest.mark.parametrize("width", [1, 2, 3])
def test_strokes_are_measured(width: int) -> None:
    picture = Image.new("L", (400, 200), 240)
    draw = ImageDraw.Draw(picture)
    for x in range(30, 360, 14):  # a row of sevens
        draw.line((x, 80, x + 8, 80), 60, width)
        draw.line((x + 8, 80, x + 2, 96), 60, width)
    writing = writing_in(np.asarray(picture))

    assert writing is not None
    assert len(writing) >= 20
    assert float(np.median(writing.stroke)) == pytest.approx(width, rel=0.45)
    assert float(np.median(writing.contrast)) == pytest.approx(180, rel=0.15)


def test_texture_is_no_writing() -> None:
    grain = np.random.default_rng(4).normal(120, 18, (400, 400))

    assert writing_in(np.clip(cv2.GaussianBlur(grain, (0, 0), 1.2), 0, 255).astype(np.uint8)) is None


def test_a_change_in_the_first_block_of_a_jpeg_file_is_seen() -> None:
    def numbered(text: str) -> Image.Image:
        picture = page()
        ImageDraw.Draw(picture).text((1, 4), text, font=ImageFont.load_default(18), fill="black")
        return picture

    for later in (through("JPEG", 75), both(resized(0.5), through("JPEG", 75))):
        assert isinstance(compared(numbered("6000"), later(numbered("6000"))), Same)
        assert isinstance(compared(numbered("6000"), later(numbered("3000"))), Different)


@pytest.mark.parametrize("colour", [(0, 150, 160), (230, 150, 0), (30, 60, 200)])
@pytest.mark.parametrize("quality", [45, 60, 75])
def test_a_small_coloured_tick_is_seen_in_a_halved_photo(colour: tuple[int, int, int], quality: int) -> None:
    ticked = scene()
    ImageDraw.Draw(ticked).line(((300, 200), (305, 207), (314, 193)), fill=colour, width=3)
    later = both(resized(0.5), through("JPEG", quality))

    assert isinstance(compared(scene(), later(scene())), Same)
    assert isinstance(compared(scene(), later(ticked)), Different)


@pytest.mark.parametrize("bytes_max", [20_000, 60_000])
def test_evidence_of_a_photo_fits_its_budget_and_still_recognises_it(bytes_max: int) -> None:
    photo = resized(2)(scene())
    data = guard.encode(view(photo), bytes_max)

    assert len(data) <= bytes_max
    assert isinstance(guard.compare(guard.decode(data), view(photo)), Same | Different)


def large_page(size: int, total: str = "1032.36") -> Image.Image:
    """A page of 3,200 by 2,000 pixels in print of `size`."""
    picture = Image.new("RGB", (3200, 2000), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for row in range(1900 // (2 * size)):
        for column in range(4):
            amount = total if (row, column) == (9, 2) else f"{37 * row + column}.{row:02}"
            draw.text((40 + 800 * column, 40 + 2 * size * row), f"Item {row} {amount}", font=font, fill=(30, 30, 30))
    return picture


def test_print_that_the_working_copy_cannot_show_is_a_doubt() -> None:
    assert isinstance(compared(large_page(11), through("JPEG", 90)(large_page(11, "1032.86"))), Different)
    assert compared(large_page(11), through("JPEG", 90)(large_page(11))) == Different(Doubt.SMALL_TEXT)

    kept = guard.decode(guard.encode(view(large_page(11))))
    assert kept.hides_writing


def test_a_large_page_in_ordinary_print_is_compared() -> None:
    assert isinstance(compared(large_page(32), through("JPEG", 90)(large_page(32))), Same)
    assert isinstance(compared(large_page(32), through("JPEG", 90)(large_page(32, "1032.86"))), Different)


@given(st.integers(1, 4000), st.integers(0, 3999), st.integers(1, 4000))
def test_a_box_of_whole_pixels_is_those_pixels(side: int, start: int, length: int) -> None:
    start = start % side
    stop = min(side, start + length)
    box = Box(start / side, start / side, stop / side, stop / side)

    assert box.pixels(side, side) == (slice(start, stop), slice(start, stop))
    assert box.on_grid(side, side) == box

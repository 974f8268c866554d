"""The guard's promise on drawn pictures: everyday copies are the same, small changes are not."""

import io
import random
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from cache import guard
from cache.verdict import Different, Doubt, Same, Verdict

Transform = Callable[[Image.Image], Image.Image]

LINES = (
    ("Apples, red, 1 kg", "4.20"),
    ("Whole milk 2 l", "12.80"),
    ("Bread, sliced", "3.15"),
    ("Olive oil 0.5 l", "18.60"),
    ("Coffee beans", "26.45"),
    ("Deposit", "1.75"),
    ("Discount", "6.30"),
    ("Total", "1082.36"),
)


def page(lines: tuple[tuple[str, str], ...] = LINES, ink: tuple[int, int, int] = (20, 20, 30)) -> Image.Image:
    """A receipt-like document."""
    picture = Image.new("RGB", (640, 720), (252, 252, 250))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(28)
    draw.text((190, 40), "CORNER SHOP 24", font=font, fill=ink)
    for row, (name, price) in enumerate(lines):
        draw.text((60, 130 + row * 62), name, font=font, fill=ink)
        draw.text((450, 130 + row * 62), price, font=font, fill=ink)
    draw.line((60, 550, 580, 550), fill=ink, width=3)
    return picture


def edited(row: int, price: str) -> Image.Image:
    return page((*LINES[:row], (LINES[row][0], price), *LINES[row + 1 :]))


def scene(
    seed: int = 5, cup: bool = True, cup_colour: tuple[int, int, int] = (176, 40, 44), moved_px: int = 0
) -> Image.Image:
    """A photo-like picture: textured wall and table, shaded objects, grain."""
    chance = np.random.default_rng(seed)
    texture = np.zeros((480, 640, 3), np.float32)
    for cells, strength in ((6, 40), (24, 22), (96, 12), (240, 8)):
        small = chance.normal(0, 1, (cells * 3 // 4, cells, 3))
        texture += strength * np.asarray(_enlarged(small), np.float32)
    ground = np.linspace(150, 90, 480)[:, None, None] + texture
    ground[300:] *= 0.7
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 200, 190, 330), fill=(214, 168, 60), outline=(120, 90, 20), width=4)
    draw.rectangle((230, 120, 330, 320), fill=(50, 90, 130), outline=(20, 40, 70), width=5)
    if cup:
        left = 420 + moved_px
        draw.rounded_rectangle((left, 230, left + 110, 370), 18, fill=cup_colour, outline=(40, 20, 20), width=4)
        draw.arc((left + 90, 255, left + 150, 330), -90, 90, fill=(40, 20, 20), width=10)
    grain = chance.normal(0, 3, (480, 640, 3))
    return Image.fromarray(np.clip(np.asarray(picture, np.float32) + grain, 0, 255).astype(np.uint8))


def _enlarged(noise: np.ndarray) -> Image.Image:
    planes = [Image.fromarray(noise[..., c].astype(np.float32)).resize((640, 480), Image.BICUBIC) for c in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def view(picture: Image.Image) -> guard.View:
    told = getattr(picture, "steps", None), getattr(picture, "encoding", None)
    return guard.view_of(np.asarray(picture.convert("RGB")), picture.size, *told)


def compared(stored: Image.Image, asked: Image.Image) -> Verdict:
    return guard.compare(view(stored), view(asked))


def through(kind: str, quality: int) -> Transform:
    def encode(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, kind, quality=quality)
        opened = Image.open(file)
        plain = opened.convert("RGB")
        if kind == "JPEG":  # as gateway/pictures.py tells it of a file; any later change of the picture drops it
            tables = tuple(map(tuple, opened.quantization.values()))
            plain.encoding = guard.Encoding(tables, 2, is_grey=opened.mode == "L")
            plain.steps = plain.encoding.steps
        return plain

    return encode


def resized(factor: float) -> Transform:
    return lambda picture: picture.resize(tuple(round(side * factor) for side in picture.size), Image.LANCZOS)


def both(first: Transform, second: Transform) -> Transform:
    return lambda picture: second(first(picture))


def unchanged(picture: Image.Image) -> Image.Image:
    return picture


COPIES = {
    "JPEG 95": through("JPEG", 95),
    "JPEG 85": through("JPEG", 85),
    "JPEG 75": through("JPEG", 75),
    "WebP 80": through("WEBP", 80),
    "x 0.6": resized(0.6),
    "x 0.8": resized(0.8),
    "x 1.4": resized(1.4),
    "x 0.8, JPEG 80": both(resized(0.8), through("JPEG", 80)),
    "light border": lambda picture: ImageOps.expand(picture, 24, "white"),
    "dark border": lambda picture: ImageOps.expand(picture, (30, 12), "black"),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.08),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.92),
    "saturated": lambda picture: ImageEnhance.Color(picture).enhance(1.12),
    "soft": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.6)),
}
LATER = {
    "direct": unchanged,
    "JPEG 60": through("JPEG", 60),
    "smaller": both(resized(0.75), through("JPEG", 80)),
}


@pytest.mark.parametrize("drawn", [page, scene])
def test_identity_is_the_same_with_score_zero(drawn: Callable[[], Image.Image]) -> None:
    assert compared(drawn(), drawn()) == Same(0.0)


@pytest.mark.parametrize("drawn", [page, scene])
@pytest.mark.parametrize("name", COPIES)
def test_everyday_copies_are_the_same(drawn: Callable[[], Image.Image], name: str) -> None:
    verdict = compared(drawn(), COPIES[name](drawn()))

    assert isinstance(verdict, Same), verdict


EDITS = {
    "digit": (4, "26.46"),
    "digit like another": (1, "12.30"),
    "digit in the total": (7, "1032.36"),
    "decimal point moved": (7, "108.236"),
    "decimal point lost": (3, "1860"),
    "comma for point": (3, "18,60"),
    "minus added": (6, "-6.30"),
    "digit added": (2, "33.15"),
    "line blank": (5, ""),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_document_is_different(edit: str, later: str) -> None:
    asked = LATER[later](edited(*EDITS[edit]))

    assert isinstance(compared(page(), asked), Different)


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("edit", ["digit like another", "minus added", "comma for point"])
def test_an_edit_is_different_in_the_other_direction_too(edit: str, later: str) -> None:
    stored = LATER[later](edited(*EDITS[edit]))

    assert isinstance(compared(stored, page()), Different)


@pytest.mark.parametrize("seed", range(20))
def test_any_sign_changed_in_a_page_of_small_print_is_different(seed: int) -> None:
    chance = random.Random(seed)
    font = ImageFont.load_default(chance.randint(11, 22))
    lines = [f"{chance.choice(LINES)[0]}   {chance.randint(100, 99999) / 100:.2f}" for _ in range(14)]
    row = chance.randrange(len(lines))
    spot = chance.choice([i for i, sign in enumerate(lines[row]) if sign in "0123456789."])
    sign = chance.choice([s for s in "0123456789, " if s != lines[row][spot]])
    changed = [*lines[:row], lines[row][:spot] + sign + lines[row][spot + 1 :], *lines[row + 1 :]]
    pages = []
    for text in (lines, changed):
        pages.append(Image.new("RGB", (480, 520), "white"))
        ImageDraw.Draw(pages[-1]).multiline_text((30, 20), "\n".join(text), font=font, fill="black", spacing=12)

    for factor, quality in ((1.0, 90), (1.0, 50), (0.9, 60), (0.7, 80), (0.5, 90)):
        asked = both(resized(factor), through("JPEG", quality))(pages[1])

        assert isinstance(compared(pages[0], asked), Different)


CHANGES: dict[str, Callable[[], Image.Image]] = {
    "object removed": lambda: scene(cup=False),
    "object recoloured": lambda: scene(cup_colour=(40, 60, 176)),
    "object slightly recoloured": lambda: scene(cup_colour=(176, 84, 44)),
    "object moved": lambda: scene(moved_px=5),
    "other texture": lambda: scene(seed=6),
    "other crop": lambda: scene().crop((110, 0, 640, 400)),
    "shifted frame": lambda: scene().crop((20, 0, 640, 480)).resize((640, 480)),
    "turned by two degrees": lambda: scene().rotate(2, Image.BICUBIC).crop((20, 20, 620, 460)),
    "mirrored": lambda: ImageOps.mirror(scene()),
    "upside down": lambda: scene().rotate(180),
    "something drawn on it": lambda: _drawn_on(scene()),
    "a bar above it": lambda: _with_bar(scene()),
}


def _drawn_on(picture: Image.Image) -> Image.Image:
    ImageDraw.Draw(picture).rectangle((300, 60, 420, 180), outline=(255, 220, 0), width=2)
    return picture


def _with_bar(picture: Image.Image) -> Image.Image:
    framed = ImageOps.expand(picture, (0, 40, 0, 0), "black")
    ImageDraw.Draw(framed).text((10, 8), "12:41  87 %", font=ImageFont.load_default(20), fill="white")
    return framed


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_photo_is_different(change: str, later: str) -> None:
    asked = LATER[later](CHANGES[change]())

    assert isinstance(compared(scene(), asked), Different)


def test_a_frame_that_lost_one_side_and_gained_another_is_different() -> None:
    wide = Image.new("RGB", (700, 480))
    wide.paste(scene(), (0, 0))
    wide.paste(scene(seed=9).crop((0, 0, 60, 480)), (640, 0))

    assert isinstance(compared(scene(), wide.crop((40, 0, 680, 480))), Different)


def test_content_beyond_the_stored_edge_is_a_doubt() -> None:
    assert compared(page().crop((0, 0, 640, 560)), page()) in (
        Different(Doubt.CONTENT_ADDED),
        Different(Doubt.GEOMETRY),
    )


def test_a_document_that_lost_a_line_at_its_edge_is_a_doubt() -> None:
    verdict = compared(page(), page().crop((0, 75, 640, 720)))

    assert verdict in (Different(Doubt.CONTENT_LOST), Different(Doubt.GEOMETRY))


def test_blank_paper_may_be_lost() -> None:
    assert isinstance(compared(page(), page().crop((20, 0, 640, 700))), Same)


def test_the_answer_to_a_small_picture_is_not_given_for_one_with_more_to_see() -> None:
    assert compared(resized(0.5)(page()), page()) == Different(Doubt.LARGER)
    assert compared(resized(0.5)(scene()), scene()) == Different(Doubt.LARGER)


def test_an_enlargement_without_more_to_see_is_the_same() -> None:
    assert isinstance(compared(scene(), resized(1.6)(scene())), Same)


def small_print(total: str = "1032.36") -> Image.Image:
    picture = Image.new("RGB", (640, 240), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for row, (name, amount) in enumerate([*LINES[:7], ("Total", total)]):
        for x, text in ((30, name), (200, amount), (400, name + amount)):
            draw.text((x, 20 + 22 * row), text, font=font, fill=(60, 60, 60))
    return picture


def test_text_too_small_to_compare_is_a_doubt() -> None:
    verdict = compared(small_print(), both(resized(0.5), through("WEBP", 80))(small_print()))

    assert isinstance(verdict, Different)
    assert verdict.doubt == Doubt.SMALL_TEXT
    assert isinstance(compared(small_print(), through("WEBP", 80)(small_print())), Same)


@pytest.mark.parametrize("quality", [30, 45, 80])
@pytest.mark.parametrize("before", [unchanged, resized(0.75), lambda picture: ImageOps.expand(picture, 30, "white")])
def test_the_files_own_encoding_done_again_proves_small_print(quality: int, before: Transform) -> None:
    for total in ("1032.36", "1032.86", "1032,36"):
        verdict = compared(small_print(), both(before, through("JPEG", quality))(small_print(total)))

        assert isinstance(verdict, Same if total == "1032.36" else Different), (total, verdict)


def test_what_a_file_was_too_coarse_to_show_is_not_taken_on_trust() -> None:
    copy = both(resized(0.5), through("JPEG", 30))(small_print())  # the very copy, but a comma could be lost in it

    assert isinstance(compared(small_print(), copy), Different)


@pytest.mark.parametrize("size", [9, 12])
@pytest.mark.parametrize("factor", [1.06, 1.1])
@pytest.mark.parametrize("quality", [8, 10, 25])
def test_print_that_a_coarse_enlargement_no_longer_shows_is_not_taken_on_trust(
    size: int, factor: float, quality: int
) -> None:
    def price(total: str) -> Image.Image:
        picture = Image.new("RGB", (420, 60 + 6 * (size + 8)), "white")
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
        for row in range(6):
            words = f"Total {total}" if row == 3 else f"Item {row} of stock, quantity {7 * row} price 14{row}.2{row}"
            draw.text((24, 22 + row * (size + 8)), words, font=font, fill=(160, 160, 160))
        return picture

    for total in ("1032,36", "1032.35", "103236"):
        asked = both(resized(factor), through("JPEG", quality))(price(total))

        assert isinstance(compared(price("1032.36"), asked), Different), total


def lamp(colour: tuple[int, int, int]) -> Image.Image:
    picture = page()
    ImageDraw.Draw(picture).ellipse((560, 610, 610, 660), fill=colour)
    return picture


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_grey_file_does_not_answer_for_a_colour_that_it_lost(quality: int) -> None:
    red, green = lamp((220, 40, 30)), lamp((30, 118, 30))  # of one brightness
    grey = through("JPEG", quality)

    assert isinstance(compared(red, grey(green.convert("L"))), Different)
    assert isinstance(compared(red, grey(red.convert("L"))), Different)
    assert isinstance(compared(page().convert("L").convert("RGB"), grey(page().convert("L"))), Same)


@pytest.mark.parametrize("name", ["LANCZOS", "BICUBIC", "BILINEAR", "BOX"])
def test_small_print_is_proved_on_a_screenshot(name: str) -> None:
    def screenshot(picture: Image.Image) -> Image.Image:
        shown = picture.resize((round(picture.width * 0.65), round(picture.height * 0.65)), Image.Resampling[name])
        return ImageOps.expand(shown, (37, 21, 52, 40), (30, 31, 34))

    assert isinstance(compared(small_print(), screenshot(small_print())), Same)
    assert isinstance(compared(small_print(), screenshot(small_print("1032.86"))), Different)


@pytest.mark.parametrize("total", ["1032.86", "1032,36", "-1032.36", "103236"])
@pytest.mark.parametrize("quality", [40, 60, 80])
def test_an_edit_of_small_print_is_different_at_any_quality(total: str, quality: int) -> None:
    for factor in (1.0, 0.7, 0.5):
        asked = both(resized(factor), through("JPEG", quality))(small_print(total))

        assert isinstance(compared(small_print(), asked), Different)


def test_the_very_resampling_proves_even_text_that_is_too_small_to_read() -> None:
    assert isinstance(compared(page(), resized(0.38)(page())), Same)
    assert isinstance(compared(page(), resized(0.38)(edited(1, "12.30"))), Different)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (19, 19), (500, 3)])
def test_a_tiny_picture_is_the_same_only_bit_by_bit(size: tuple[int, int]) -> None:
    one, other = Image.new("RGB", size, (200, 10, 10)), Image.new("RGB", size, (200, 10, 11))

    assert compared(one, one) == Same(0.0)
    assert compared(one, other) == Different(Doubt.RESOLUTION)


def test_two_uniform_pictures_of_nearly_one_colour_are_different() -> None:
    red, other_red = Image.new("RGB", (300, 200), (200, 20, 20)), Image.new("RGB", (300, 200), (200, 24, 20))

    assert compared(red, red) == Same(0.0)
    assert compared(red, other_red) == Different(Doubt.TONE)
    assert compared(red, page()) == Different(Doubt.TONE)


def test_another_shade_of_a_card_with_the_same_text_is_different() -> None:
    def card(colour: tuple[int, int, int]) -> Image.Image:
        picture = Image.new("RGB", (500, 320), colour)
        ImageDraw.Draw(picture).text((60, 120), "SALE TODAY", font=ImageFont.load_default(60), fill="white")
        return picture

    assert isinstance(compared(card((200, 30, 30)), card((200, 30, 90))), Different)
    assert isinstance(compared(card((200, 30, 30)), card((200, 90, 30))), Different)


@pytest.mark.parametrize("size", [(3000, 40), (40, 3000), (1600, 64)])
def test_extreme_shapes_are_compared(size: tuple[int, int]) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(2))

    assert compared(picture, picture) == Same(0.0)
    assert isinstance(compared(picture, ImageOps.mirror(picture)), Different)


def test_the_verdict_does_not_depend_on_what_was_compared_before() -> None:
    asked = through("JPEG", 80)(scene())
    first = compared(scene(), asked)
    compared(page(), scene())

    assert compared(scene(), asked) == first


@pytest.mark.parametrize("size", [(20, 20), (24, 31), (33, 32), (44, 44), (350, 22), (22, 350)])
def test_a_small_picture_is_compared_as_any_other(size: tuple[int, int]) -> None:
    picture = scene().resize(size, Image.Resampling.LANCZOS)
    other = picture.copy()
    ImageDraw.Draw(other).rectangle((8, 8, 13, 13), fill=(250, 250, 20))

    assert isinstance(compared(picture, through("JPEG", 95)(picture)), Same)
    assert isinstance(compared(picture, other), Different)
    assert isinstance(compared(picture, through("JPEG", 80)(other)), Different)


def line_of_text(price: str = "12.80") -> Image.Image:
    picture = Image.new("RGB", (700, 30), (252, 252, 250))
    words = f"Whole milk, two litres {price} and bread"
    ImageDraw.Draw(picture).text((10, 3), words, font=ImageFont.load_default(20), fill=(20, 20, 30))
    return picture


@pytest.mark.parametrize("copy", [lambda p: p, *map(resized, (0.9, 1.5))])
def test_a_thin_line_of_text_is_recognised_and_a_changed_digit_seen(copy: Transform) -> None:
    asked = through("JPEG", 85)

    assert isinstance(compared(line_of_text(), asked(copy(line_of_text()))), Same)
    assert isinstance(compared(line_of_text(), asked(copy(line_of_text("12.60")))), Different)

"""The pictures of all the examples, drawn. `python -m examples.draw` draws them again, the same every time.

They are ours, so they may go anywhere; and nobody's product, parcel, car or exam is in them.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
SIZE = (720, 540)
INK = (32, 34, 40)
Colour = tuple[int, int, int]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def ground(seed: int, top: Colour, bottom: Colour, grain: float = 5.0) -> Image.Image:
    """A soft slope of light with a little grain, as a photo's background has."""
    width, height = SIZE
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    slope = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    coarse = np.random.default_rng(seed).normal(128, grain, (height // 6, width // 6)).clip(0, 255).astype(np.uint8)
    noise = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC), np.float32)[..., None] - 128
    return Image.fromarray((slope + noise).clip(0, 255).astype(np.uint8))


def darker(colour: Colour, by: int = 40) -> Colour:
    red, green, blue = (max(0, part - by) for part in colour)
    return red, green, blue


def finish(picture: Image.Image) -> Image.Image:
    """As a lens leaves it: no edge is one pixel wide."""
    return picture.filter(ImageFilter.GaussianBlur(0.7))


# Products.


def product(seed: int, name: str, price: str, shape: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    card = ground(seed, (240, 238, 233), (214, 210, 203))
    brush = ImageDraw.Draw(card)
    brush.ellipse((190, 385, 530, 425), fill=(196, 192, 186))
    shape(brush)
    brush.rectangle((30, 445, 690, 515), fill=(250, 249, 246), outline=(205, 202, 196), width=2)
    brush.text((50, 460), name, font=font(34), fill=INK)
    brush.text((560, 460), price, font=font(34), fill=(166, 42, 36))
    return finish(card)


def shirt(colour: Colour) -> Callable[[ImageDraw.ImageDraw], None]:
    def shape(brush: ImageDraw.ImageDraw) -> None:
        outline = [(285, 90), (215, 120), (150, 215), (205, 255), (235, 215), (235, 395), (485, 395), (485, 215)]
        brush.polygon([*outline, (515, 255), (570, 215), (505, 120), (435, 90)], fill=colour, outline=darker(colour))
        brush.chord((305, 55, 415, 135), 0, 180, fill=(229, 226, 220), outline=darker(colour))
        brush.line((360, 140, 360, 390), fill=darker(colour, 18), width=3)

    return shape


def mug(colour: Colour) -> Callable[[ImageDraw.ImageDraw], None]:
    def shape(brush: ImageDraw.ImageDraw) -> None:
        brush.arc((420, 190, 540, 340), -90, 90, fill=darker(colour), width=26)
        brush.rectangle((240, 150, 470, 380), fill=colour)
        brush.ellipse((240, 350, 470, 410), fill=colour)
        brush.ellipse((240, 120, 470, 180), fill=darker(colour, 60))
        brush.ellipse((252, 127, 458, 173), fill=(92, 62, 44))
        brush.text((290, 240), "HELLO", font=font(40), fill=(250, 248, 240))

    return shape


def phone(colour: Colour) -> Callable[[ImageDraw.ImageDraw], None]:
    def shape(brush: ImageDraw.ImageDraw) -> None:
        brush.rounded_rectangle((265, 50, 455, 405), 26, fill=darker(colour))
        brush.rounded_rectangle((275, 60, 445, 395), 20, fill=(18, 22, 34))
        brush.rounded_rectangle((325, 68, 395, 84), 8, fill=(4, 4, 6))
        for row in range(4):
            for column in range(3):
                tone = (70 + 40 * column, 110 + 25 * row, 210 - 30 * row)
                left, top = 292 + 50 * column, 115 + 58 * row
                brush.rounded_rectangle((left, top, left + 38, top + 38), 9, fill=tone)

    return shape


def lamp(colour: Colour) -> Callable[[ImageDraw.ImageDraw], None]:
    def shape(brush: ImageDraw.ImageDraw) -> None:
        brush.rectangle((352, 220, 368, 385), fill=(96, 92, 88))
        brush.ellipse((290, 372, 430, 408), fill=(96, 92, 88))
        brush.polygon([(300, 80), (420, 80), (480, 240), (240, 240)], fill=colour, outline=darker(colour))
        brush.line((330, 80, 305, 240), fill=darker(colour, 20), width=3)
        brush.line((390, 80, 415, 240), fill=darker(colour, 20), width=3)

    return shape


# Parcels.


def parcel(seed: int, label: str, damage: str) -> Image.Image:
    picture = ground(seed, (150, 146, 142), (108, 104, 100), grain=9)
    brush = ImageDraw.Draw(picture)
    front, side, lid = (190, 146, 98), (158, 118, 76), (208, 166, 118)
    brush.polygon([(120, 480), (150, 500), (610, 500), (640, 470)], fill=(84, 80, 77))
    brush.polygon([(110, 200), (470, 200), (470, 490), (110, 490)], fill=front, outline=darker(front))
    brush.polygon([(470, 200), (610, 130), (610, 410), (470, 490)], fill=side, outline=darker(side))
    brush.polygon([(110, 200), (260, 130), (610, 130), (470, 200)], fill=lid, outline=darker(lid))
    brush.polygon([(270, 200), (310, 200), (450, 130), (415, 130)], fill=(222, 204, 160))
    brush.rectangle((270, 200, 310, 300), fill=(222, 204, 160))
    brush.rectangle((130, 330, 330, 465), fill=(246, 245, 240), outline=(190, 188, 182))
    brush.text((145, 340), label, font=font(22), fill=INK)
    chance = random.Random(seed)
    for bar in range(34):
        left = 145 + bar * 5
        brush.rectangle((left, 400, left + chance.choice((1, 2, 3)), 450), fill=INK)
    if damage == "torn":
        torn = [
            (470, 490),
            (470, 380),
            (445, 400),
            (430, 372),
            (405, 410),
            (380, 395),
            (372, 440),
            (340, 455),
            (352, 490),
        ]
        brush.polygon(torn, fill=(58, 44, 34))
        brush.polygon([(405, 410), (430, 372), (445, 400), (420, 432)], fill=(226, 222, 214))
        brush.line(
            [(345, 455), (372, 440), (380, 395), (405, 410), (430, 372), (470, 380)], fill=(226, 190, 146), width=5
        )
    elif damage == "wet":
        brush.ellipse((350, 380, 462, 486), fill=(140, 104, 68))
        brush.ellipse((375, 350, 445, 430), fill=(146, 108, 72))
    return finish(picture)


# Claims.


def car(seed: int, colour: Colour, plate: str, damage: str) -> Image.Image:
    picture = ground(seed, (196, 208, 222), (120, 122, 126), grain=7)
    brush = ImageDraw.Draw(picture)
    brush.rectangle((0, 400, 720, 540), fill=(92, 94, 98))
    brush.polygon([(180, 250), (250, 150), (470, 150), (560, 250)], fill=darker(colour, 15))
    brush.polygon([(205, 245), (260, 165), (352, 165), (352, 245)], fill=(168, 192, 210))
    brush.polygon([(370, 165), (460, 165), (530, 245), (370, 245)], fill=(168, 192, 210))
    brush.rounded_rectangle((80, 245, 650, 395), 36, fill=colour, outline=darker(colour), width=3)
    brush.line((360, 250, 360, 390), fill=darker(colour), width=3)
    brush.rounded_rectangle((385, 295, 425, 306), 4, fill=darker(colour, 60))
    brush.rounded_rectangle((612, 280, 652, 318), 8, fill=(250, 244, 214))
    brush.rectangle((90, 318, 205, 350), fill=(246, 246, 242), outline=INK, width=2)
    brush.text((100, 322), plate, font=font(22), fill=INK)
    for left in (150, 480):
        brush.ellipse((left, 345, left + 110, 455), fill=(26, 26, 28))
        brush.ellipse((left + 28, 373, left + 82, 427), fill=(150, 152, 156))
    if damage == "scratch":
        brush.line([(225, 285), (280, 292), (330, 281)], fill=(236, 236, 232), width=4)
        brush.line([(240, 300), (320, 297)], fill=(226, 226, 222), width=3)
    elif damage == "dent":
        brush.ellipse((395, 260, 520, 345), fill=darker(colour, 55))
        brush.ellipse((410, 268, 500, 325), fill=darker(colour, 25))
        brush.line([(400, 300), (440, 318), (515, 300)], fill=darker(colour, 80), width=4)
    elif damage == "crushed":
        crushed = [(650, 250), (560, 248), (590, 280), (548, 300), (588, 330), (555, 362), (600, 392), (650, 392)]
        brush.polygon(crushed, fill=darker(colour, 75))
        brush.line(crushed[1:7], fill=(30, 30, 32), width=5)
        brush.polygon([(600, 300), (648, 288), (632, 332)], fill=(40, 40, 44))
    return finish(picture)


# Exam pages.


def page(number: int, lines: list[str], figure: str | None = None) -> Image.Image:
    paper = ground(90 + number, (252, 251, 247), (244, 243, 238), grain=2)
    brush = ImageDraw.Draw(paper)
    brush.text((60, 30), f"Mathematics, paper 2, question {number}", font=font(22), fill=(90, 90, 94))
    brush.line((60, 66, 660, 66), fill=(150, 150, 152), width=2)
    for row, line in enumerate(lines):
        brush.text((60, 90 + 44 * row), line, font=font(27), fill=INK)
    if figure == "triangle":
        brush.polygon([(220, 480), (500, 480), (500, 300)], outline=INK, width=3)
        brush.rectangle((478, 458, 500, 480), outline=INK, width=2)
        for place, text in (((350, 486), "4 cm"), ((512, 380), "3 cm"), ((330, 350), "x")):
            brush.text(place, text, font=font(24), fill=INK)
    elif figure == "line":
        brush.line((200, 480, 540, 480), fill=INK, width=3)
        brush.line((220, 500, 220, 290), fill=INK, width=3)
        brush.line((200, 492, 520, 310), fill=(40, 70, 150), width=4)
    return paper


# Posts.


def post(seed: int, who: str, text: str, picture: str) -> Image.Image:
    shown = ground(seed, (238, 240, 245), (226, 229, 236), grain=3)
    brush = ImageDraw.Draw(shown)
    brush.rounded_rectangle((60, 40, 660, 500), 18, fill=(255, 255, 255), outline=(208, 212, 220), width=2)
    brush.ellipse((85, 62, 135, 112), fill=(120, 140, 190))
    brush.text((150, 72), who, font=font(26), fill=INK)
    brush.text((85, 130), text, font=font(27), fill=INK)
    if picture == "sunset":
        for step in range(10):
            brush.rectangle(
                (85, 190 + 28 * step, 635, 218 + 28 * step), fill=(250 - 9 * step, 170 - 12 * step, 90 + 8 * step)
            )
        brush.ellipse((310, 270, 410, 370), fill=(255, 226, 150))
    elif picture == "cat":
        brush.rectangle((85, 190, 635, 470), fill=(206, 220, 208))
        brush.ellipse((270, 290, 460, 480), fill=(112, 100, 92))
        brush.ellipse((300, 220, 430, 340), fill=(124, 112, 104))
        for left in (306, 384):
            brush.polygon([(left, 250), (left + 18, 196), (left + 42, 240)], fill=(124, 112, 104))
            brush.ellipse((left + 16, 262, left + 30, 282), fill=(200, 214, 90))
    else:
        brush.rectangle((85, 190, 635, 470), fill=(250, 240, 196))
        brush.text((120, 225), "WIN A PHONE TODAY", font=font(44), fill=(176, 30, 30))
        brush.text((120, 300), "Send your card number to", font=font(32), fill=INK)
        brush.text((120, 350), "prizes@claim-now.invalid", font=font(32), fill=(30, 60, 150))
    return finish(shown)


def everything() -> dict[str, Image.Image]:
    """Each picture by where it belongs."""
    return {
        "products/pictures/shirt.png": product(1, "Linen shirt", "39.00", shirt((88, 132, 178))),
        "products/pictures/mug.png": product(2, "Stoneware mug", "12.50", mug((176, 84, 62))),
        "products/pictures/phone.png": product(3, "iPhone 16, 128 GB", "799.00", phone((70, 74, 88))),
        "products/pictures/lamp.png": product(4, "Table lamp", "54.00", lamp((226, 186, 96))),
        "parcel/pictures/torn.png": parcel(11, "ORDER 77-1042", "torn"),
        "parcel/pictures/whole.png": parcel(12, "ORDER 77-1043", "none"),
        "parcel/pictures/wet.png": parcel(13, "ORDER 77-1057", "wet"),
        "claims/pictures/scratch.png": car(21, (150, 40, 44), "LA 1207", "scratch"),
        "claims/pictures/dent.png": car(22, (52, 84, 140), "KX 5531", "dent"),
        "claims/pictures/crushed.png": car(23, (196, 198, 200), "BV 9046", "crushed"),
        "exam/pictures/1.png": page(
            1, ["A right triangle has legs of 3 cm and 4 cm.", "How long is the side x?"], "triangle"
        ),
        "exam/pictures/2.png": page(2, ["The line y = 2x + 1 is shown.", "Where does it cross y = 7?"], "line"),
        "exam/pictures/2b.png": page(2, ["The line y = 2x + 1 is shown.", "Where does it cross y = 9?"], "line"),
        "exam/pictures/3.png": page(3, ["Two dice are thrown.", "How likely is a sum of 7?", "Give a fraction."]),
        "moderation/pictures/sunset.png": post(31, "mira", "Evening by the sea", "sunset"),
        "moderation/pictures/cat.png": post(32, "jonas", "He has opinions", "cat"),
        "moderation/pictures/prize.png": post(33, "prize_desk", "You have been chosen!", "prize"),
    }


def main() -> None:
    for place, picture in everything().items():
        path = HERE / place
        path.parent.mkdir(parents=True, exist_ok=True)
        # 128 colours: a tenth of the bytes, and what is left of the grain is enough for a photo's look.
        picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

"""Exam questions with a figure and answers to choose from."""

import math

from benchmarks.drawn.shapes import Disc, Line, Tick
from benchmarks.drawn.sheet import Sheet


def exam(sheet: Sheet) -> None:
    style, chance = sheet.style, sheet.chance
    y, number = sheet.width * 0.07 + style.size, chance.randint(1, 40)
    block = _figure_height(sheet) + style.size * 1.8 * 5
    while True:
        y = _question(sheet, number, y)
        number += 1
        if y + block > sheet.height:
            return


def _figure_height(sheet: Sheet) -> float:
    return min(sheet.height * 0.32, sheet.width * 0.45)


def _question(sheet: Sheet, number: int, y: float) -> float:
    """From `y` on; returns where it ends."""
    style, chance = sheet.style, sheet.chance
    pad, step = sheet.width * 0.07, style.size * 1.8
    a, b, c = (chance.randint(3, 95) for _ in range(3))
    question = f"{number}. " + chance.choice(sheet.words.questions).format(a=a, b=b, c=c)
    for line in _wrapped(sheet, question, sheet.width - 2 * pad):
        sheet.text(pad, y, line, name="question")
        y += step
    height = _figure_height(sheet)
    _figure(sheet, (pad * 2, y, pad * 2 + height / 0.75, y + height))
    y += height + step * 1.6
    ticked = chance.randrange(8)  # more often than not none
    for place, letter in enumerate("ABCD"):
        if y + style.size > sheet.height:
            break
        _answer(sheet, pad, y, letter, place == ticked)
        y += step
    return y + step


def _answer(sheet: Sheet, x: float, y: float, letter: str, ticked: bool) -> None:
    style, chance, name = sheet.style, sheet.chance, f"answer {letter}"
    side = style.size
    box = (x, y - side, x + side, y)
    sheet.add(Tick(box=box, style="radio", on=ticked, ink=style.ink, fill=style.ink, role="tick", name=name))
    values = (
        str(chance.randint(2, 400)),
        f"{chance.randint(1, 9)}/{chance.randint(2, 17)}",
        f"-{chance.randint(2, 60)}",
        f"{chance.uniform(1, 50):.1f}",
    )
    sheet.text(x + side * 1.6, y, f"{letter}. {chance.choice(values)}", name=name, role="cell")


def _wrapped(sheet: Sheet, text: str, room: float) -> list[str]:
    lines, line = [], ""
    chinese = not text.isascii()
    for piece in list(text) if chinese else [word + " " for word in text.split()]:
        if line and sheet.wide(line + piece) > room:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]


def _figure(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    """A triangle, a circle or a grid of dots, with labels."""
    style, chance = sheet.style, sheet.chance
    left, top, right, bottom = box
    size = max(style.size, 14)
    kind = chance.choice(("triangle", "circle", "dots", "axes"))
    if kind == "triangle":
        corners = (
            (left, bottom),
            (right, bottom - chance.uniform(0, 0.2) * (bottom - top)),
            (left + chance.uniform(0.1, 0.8) * (right - left), top),
        )
        pairs = ((0, 1), (1, 2), (2, 0))
        for one, two in pairs:
            ends = corners[one], corners[two]
            sheet.add(
                Line(
                    points=ends,
                    ink=style.ink,
                    width=2,
                    dash=chance.choice((0, 0, 7)),
                    role="dashable",
                    name=f"side {'ABC'[one]}{'ABC'[two]}",
                )
            )
            middle = (ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2
            sheet.text(
                middle[0] + 8,
                middle[1] - 6,
                str(chance.randint(2, 60)),
                size=size,
                name=f"side {'ABC'[one]}{'ABC'[two]}",
                role="cell",
            )
        for letter, (x, y) in zip("ABC", corners, strict=True):
            sheet.text(x - size * 0.9 if x < right else x + 4, y, letter, size=size, name="corner", role="corner")
    elif kind == "circle":
        radius = (bottom - top) / 2
        middle = left + radius, top + radius
        sheet.add(Disc(box=(left, top, left + 2 * radius, bottom), fill=style.palette[0], role="swatch", name="circle"))
        angle = chance.uniform(0, 6.28)
        end = middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)
        sheet.add(Line(points=(middle, end), ink=(255, 255, 255), width=3, role="pointer", name="radius"))
        sheet.text(right, top + size, f"r = {chance.randint(2, 90)}", size=size, name="radius", role="cell")
        sheet.text(right, top + size * 3, f"{chance.randint(10, 350)}°", size=size, name="angle", role="cell")
    elif kind == "dots":
        _dots(sheet, box)
    else:
        _axes(sheet, box)


def _dots(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    style, chance = sheet.style, sheet.chance
    left, top, right, bottom = box
    across, down = chance.randint(3, 7), chance.randint(2, 4)
    pitch = min((right - left) / across, (bottom - top) / down)
    for row in range(down):
        for column in range(across):
            x, y = left + column * pitch, top + row * pitch
            spot, ink = (x, y, x + pitch * 0.6, y + pitch * 0.6), style.palette[chance.randrange(2)]
            sheet.add(Disc(box=spot, fill=ink, role="counted", name=f"dot {row + 1}/{column + 1}", group=sheet.group()))


def _axes(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    style, chance = sheet.style, sheet.chance
    left, top, right, bottom = box
    zero = left + (right - left) * 0.45, top + (bottom - top) * 0.55
    sheet.add(
        Line(points=((left, zero[1]), (right, zero[1])), ink=style.ink),
        Line(points=((zero[0], top), (zero[0], bottom)), ink=style.ink),
    )
    slope = chance.choice((-1, 1)) * chance.uniform(0.3, 0.9)
    reach = (bottom - top) * 0.48
    points = tuple(
        (zero[0] + t * reach, zero[1] - slope * t * reach - 0.25 * reach * math.cos(3 * t))
        for t in (i / 20 - 0.9 for i in range(37))
    )
    sheet.add(Line(points=points, ink=style.palette[0], width=3, role="dashable", name="curve"))
    spot = points[chance.randrange(6, 30)]
    sheet.add(
        Disc(
            box=(spot[0] - 6, spot[1] - 6, spot[0] + 6, spot[1] + 6),
            fill=style.palette[1],
            role="object",
            name="point P",
            group=sheet.group(),
        )
    )
    for label, at in (("x", (right, zero[1] + style.size)), ("y", (zero[0] + 6, top + style.size))):
        sheet.text(*at, label, name="axis", role="corner")

"""Screens: settings on a phone, a window on a desktop, a chat."""

from benchmarks.drawn.outlines import ICONS
from benchmarks.drawn.shapes import Disc, Icon, Rect, Rgb, Tick
from benchmarks.drawn.sheet import Sheet

_SIGNS = tuple(ICONS)


def phone(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    size = max(style.size, round(sheet.width / 38))
    pad, y = sheet.width * 0.05, size * 2.2
    _status_bar(sheet, size)
    heading = chance.choice(words.shops)
    y += size * 2.2
    sheet.text(pad, y, heading, size=round(size * 1.5), face=style.strong, name="heading")
    step = size * 3.4
    y += size
    row = 0
    while y + step < sheet.height - step:
        row += 1
        base, name = y + step * 0.62, f"row {row}"
        box = (pad, base - size * 1.1, pad + size * 1.4, base + size * 0.3)
        sheet.add(
            Icon(box=box, sign=chance.choice(_SIGNS), ink=chance.choice(style.palette[:3]), role="icon", name=name)
        )
        sheet.text(pad + size * 2.2, base, chance.choice(words.fields), size=size, name=name, role="row-label")
        right = sheet.width - pad
        match chance.choice(("switch", "value", "value", "state", "bar")):
            case "switch":
                box = (right - size * 2.4, base - size, right, base + size * 0.2)
                sheet.add(
                    Tick(
                        box=box,
                        style="switch",
                        on=chance.random() < 0.5,
                        ink=style.ink,
                        fill=style.palette[0],
                        role="tick",
                        name=name,
                    )
                )
            case "value":
                value = chance.choice(
                    (
                        f"{chance.uniform(1, 99):.1f}%",
                        str(chance.randint(2, 4000)),
                        f"{chance.randint(-30, 40)}°C",
                        f"{chance.randint(8, 22)}:{chance.randint(10, 59)}",
                        sheet.amount(),
                    )
                )
                sheet.text(right, base, value, size=size, anchor="rs", name=name, role="cell")
            case "state":
                sheet.text(
                    right,
                    base,
                    chance.choice(words.states),
                    size=size,
                    anchor="rs",
                    ink=style.soft,
                    name=name,
                    role="state",
                )
            case _:
                long = sheet.width * 0.3
                sheet.panel((right - long, base - size * 0.6, right, base))
                sheet.add(
                    Rect(
                        box=(right - long, base - size * 0.6, right - long * chance.uniform(0.2, 0.9), base),
                        fill=style.palette[1],
                        role="bar-x",
                        name=name,
                    )
                )
        y += step
        sheet.rule(y, pad, sheet.width - pad)
    _tabs(sheet, size, step)


def _status_bar(sheet: Sheet, size: int) -> None:
    small = max(12, round(size * 0.8))
    chance, pad = sheet.chance, sheet.width * 0.05
    sheet.text(
        pad,
        size * 1.3,
        f"{chance.randint(1, 23)}:{chance.randint(10, 59)}",
        size=small,
        face=sheet.style.strong,
        name="clock",
    )
    sheet.text(sheet.width - pad, size * 1.3, f"{chance.randint(5, 99)}%", size=small, anchor="rs", name="battery")


def _tabs(sheet: Sheet, size: int, step: float) -> None:
    style, chance = sheet.style, sheet.chance
    top = sheet.height - step
    sheet.panel((0, top, sheet.width, sheet.height))
    for i, sign in enumerate(chance.sample(_SIGNS, 4)):
        x = sheet.width * (i + 0.5) / 4
        sheet.add(
            Icon(
                box=(x - size * 0.8, top + step * 0.25, x + size * 0.8, top + step * 0.25 + size * 1.6),
                sign=sign,
                ink=style.ink,
                role="icon",
                name=f"tab {i + 1}",
            )
        )
    x = sheet.width * (chance.randrange(4) + 0.5) / 4 + size * 0.9
    radius = max(10, size * 0.6)
    group = sheet.group()
    sheet.add(
        Disc(
            box=(x - radius, top + 4, x + radius, top + 4 + 2 * radius),
            fill=(200, 30, 40),
            role="mark",
            name="unread mark",
            group=group,
        )
    )
    sheet.text(
        x,
        top + 4 + radius,
        str(chance.randint(1, 9)),
        size=max(13, round(radius * 1.2)),
        ink=(255, 255, 255),
        anchor="mm",
        name="unread mark",
        group=group,
    )


def desktop(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    size, side = style.size, max(sheet.width * 0.2, style.size * 9)
    bar = size * 2.4
    sheet.add(Rect(box=(0, 0, sheet.width, bar), fill=(48, 54, 66)))
    sheet.text(
        size, bar * 0.68, chance.choice(words.shops), ink=(245, 245, 245), face=style.strong, name="window title"
    )
    for i, fill in enumerate(((235, 90, 80), (240, 190, 60), (90, 200, 90))):
        x = sheet.width - (i + 1) * size * 1.5
        sheet.add(Disc(box=(x, bar * 0.3, x + bar * 0.4, bar * 0.7), fill=fill))
    sheet.panel((0, bar, side, sheet.height))
    chosen = chance.randrange(5)
    for i, name in enumerate(chance.sample(words.fields, 7)):
        y = bar + size * 2.6 * (i + 0.9)
        if i == chosen:
            sheet.add(
                Rect(
                    box=(4, y - size * 1.5, side - 4, y + size * 0.7),
                    outline=style.palette[0],
                    width=3,
                    radius=4,
                    role="object",
                    name="selected entry",
                    group=sheet.group(),
                )
            )
        sheet.add(
            Icon(
                box=(size * 0.8, y - size, size * 1.8, y),
                sign=chance.choice(_SIGNS),
                ink=style.palette[0],
                role="icon",
                name=f"entry {i + 1}",
            )
        )
        sheet.text(size * 2.4, y, name, name=f"entry {i + 1}", role="entry")
    y = bar + _tiles(sheet, side, bar) + size * 2
    _form(sheet, side, y)


def _tiles(sheet: Sheet, side: float, bar: float) -> float:
    """A row of tiles with a number each; returns their height."""
    style, words, chance = sheet.style, sheet.words, sheet.chance
    size, count = style.size, 3
    wide = (sheet.width - side) / count
    for i in range(count):
        left = side + i * wide + size * 0.6
        sheet.panel((left, bar + size, left + wide - size * 1.2, bar + size * 6), radius=6)
        sheet.text(
            left + size,
            bar + size * 2.7,
            chance.choice(words.fields),
            ink=style.soft if style.texture == "plain" else style.ink,
            name="tile",
        )
        value = chance.choice(
            (
                f"{chance.uniform(1, 99):.1f}%",
                f"{chance.randint(100, 9999):,}",
                "-" + sheet.amount(1, 50),
                sheet.amount(),
            )
        )
        sheet.text(
            left + size,
            bar + size * 5,
            value,
            size=sheet.fitting(value, round(size * 1.7), wide - 3.5 * size),
            face=style.strong,
            name=f"tile {i + 1}",
            role="cell",
        )
        sheet.add(
            Icon(
                box=(left + wide - size * 2.8, bar + size * 3.6, left + wide - size * 1.8, bar + size * 4.6),
                sign=chance.choice(("up", "down")),
                ink=chance.choice(style.palette[1:3]),
                role="icon",
                name=f"tile {i + 1}",
            )
        )
    return size * 6


def _form(sheet: Sheet, side: float, y: float) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    size, left = style.size, side + style.size * 1.5
    room = sheet.width - left - size
    row = 0
    while y + size * 3 < sheet.height - size * 4:
        row += 1
        name = f"form row {row}"
        sheet.text(left, y + size, chance.choice(words.fields), name=name, role="row-label")
        box = (left + room * 0.35, y - size * 0.5, left + room * 0.95, y + size * 1.6)
        match chance.choice(("text", "text", "box", "bar", "status")):
            case "text":
                sheet.add(Rect(box=box, outline=style.soft, radius=3))
                value = chance.choice(
                    (
                        chance.choice(words.names),
                        sheet.date(),
                        sheet.digits(6),
                        sheet.amount(),
                        chance.choice(words.cities),
                    )
                )
                sheet.text(box[0] + size * 0.5, y + size, value, name=name, role="cell")
            case "box":
                sheet.add(
                    Tick(
                        box=(box[0], y, box[0] + size, y + size),
                        style="box",
                        on=chance.random() < 0.5,
                        ink=style.ink,
                        fill=style.palette[0],
                        role="tick",
                        name=name,
                    )
                )
                sheet.text(box[0] + size * 1.6, y + size, chance.choice(words.states), name=name, role="state")
            case "bar":
                sheet.panel((box[0], y, box[2], y + size))
                sheet.add(
                    Rect(
                        box=(box[0], y, box[0] + (box[2] - box[0]) * chance.uniform(0.2, 0.9), y + size),
                        fill=style.palette[1],
                        role="bar-x",
                        name=name,
                    )
                )
            case _:
                sheet.add(
                    Disc(
                        box=(box[0], y, box[0] + size, y + size),
                        fill=chance.choice(style.palette[:4]),
                        role="swatch",
                        name=f"status light {row}",
                    )
                )
                sheet.text(box[0] + size * 1.6, y + size, chance.choice(words.states), name=name, role="state")
        y += size * 3
    x = left
    for label in chance.sample(words.actions, 2):
        wide = sheet.wide(label) + size * 2
        top = sheet.height - size * 3.4
        sheet.add(
            Rect(box=(x, top, x + wide, top + size * 2.4), fill=(45, 95, 165), radius=5, role="swatch", name="button")
        )
        sheet.text(x + size, top + size * 1.6, label, ink=(255, 255, 255), name="button", role="button")
        x += wide + size


def chat(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    size = max(style.size, round(sheet.width / 40))
    _status_bar(sheet, size)
    sheet.text(
        sheet.width / 2,
        size * 3.2,
        chance.choice(words.names),
        size=size,
        face=style.strong,
        anchor="ms",
        name="contact",
    )
    y, number = size * 4.5, 0
    fills: tuple[Rgb, Rgb] = ((60, 66, 78), (36, 92, 70)) if style.dark else ((226, 228, 234), (190, 228, 170))
    ink = (240, 240, 240) if style.dark else (20, 20, 20)
    while y + size * 4 < sheet.height:
        number += 1
        mine = chance.random() < 0.5
        text = chance.choice(words.messages)
        wide = sheet.wide(text, size) + size * 1.6
        left = sheet.width - size - wide if mine else size
        group = sheet.group()
        box = (left, y, left + wide, y + size * 2.2)
        sheet.add(
            Rect(box=box, fill=fills[mine], radius=size * 0.7, role="bubble", name=f"message {number}", group=group)
        )
        sheet.text(left + size * 0.8, y + size * 1.45, text, size=size, ink=ink, name=f"message {number}", group=group)
        if chance.random() < 0.4:
            small = max(12, round(size * 0.75))
            time = f"{chance.randint(7, 22)}:{chance.randint(10, 59)}"
            sheet.text(
                left + wide if mine else left,
                y + size * 2.3 + small,
                time,
                size=small,
                ink=style.soft,
                anchor="rs" if mine else "ls",
                name=f"time of message {number}",
                group=group,
            )
            y += small
        y += size * chance.uniform(2.6, 3.4)

"""Paper: receipts, invoices, tables, labels."""

from benchmarks.drawn.shapes import Icon, Polygon, Rect, Text, Tick
from benchmarks.drawn.sheet import Sheet

_SIGNS = ("check", "cross", "star", "up", "down")


def receipt(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    pad, step = sheet.width * 0.07, style.size * 1.55
    money = chance.choice(words.money)
    shop = chance.choice(words.shops)
    title = sheet.fitting(shop, round(style.size * 1.5), sheet.width * 0.8)
    y = pad + title
    sheet.text(sheet.width / 2, y, shop, size=title, face=style.strong, anchor="ms", name="shop")
    y += step
    sheet.text(
        sheet.width / 2,
        y,
        f"{sheet.date()}  {chance.randint(8, 21)}:{chance.randint(10, 59)}",
        anchor="ms",
        name="date",
    )
    y += step * 0.6
    sheet.rule(y, pad, sheet.width - pad, dash=4)
    y += step * 1.1
    rows = min(24, int((sheet.height - y - 6 * step - pad) / step))
    for row in range(max(2, rows)):
        item, times = chance.choice(words.items), chance.choice((1, 1, 1, 2, 3, 6))
        label = f"{times} x {item}" if chance.random() < 0.5 else item
        sheet.text(pad, y, label, name=f"line {row + 1}", role="row-label")
        price = ("-" if chance.random() < 0.08 else "") + money + sheet.amount()
        sheet.text(sheet.width - pad, y, price, anchor="rs", name=f"line {row + 1}", role="cell")
        y += step
    sheet.rule(y - step * 0.5, pad, sheet.width - pad, dash=4)
    for label in chance.sample(words.totals, 3):
        y += step
        sheet.text(pad, y, label, face=style.strong, name=label)
        sheet.text(
            sheet.width - pad, y, money + sheet.amount(20, 900), face=style.strong, anchor="rs", name=label, role="cell"
        )
    y += step * 1.3
    if y < sheet.height - pad / 2:
        sheet.text(sheet.width / 2, y, f"No {sheet.digits(10)}", anchor="ms", name="receipt number")


def invoice(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    pad, step = sheet.width * 0.08, style.size * 1.7
    y = pad + style.size
    shop = chance.choice(words.shops)
    sheet.text(
        pad,
        y,
        shop,
        size=sheet.fitting(shop, round(style.size * 1.6), sheet.width * 0.5),
        face=style.strong,
        name="company",
    )
    sheet.add(
        Rect(
            box=(sheet.width - pad - 60, pad * 0.6, sheet.width - pad, pad * 0.6 + 60),
            fill=style.palette[0],
            radius=8,
            role="swatch",
            name="logo",
        )
    )
    y = max(y, pad * 0.6 + 60) + step
    for field in chance.sample(words.fields, 4):
        value = chance.choice((sheet.date(), sheet.digits(8), chance.choice(words.names), chance.choice(words.cities)))
        sheet.text(pad, y, field, ink=style.soft, name="field")
        sheet.text(pad + sheet.width * 0.25, y, value, name=field, role="cell")
        y += step
    columns = (pad, sheet.width * 0.55, sheet.width * 0.72, sheet.width - pad)
    sheet.panel((pad * 0.8, y - step * 0.2, sheet.width - pad * 0.8, y + step * 0.9))
    y += step * 0.55
    for x, label in zip(columns, chance.sample(words.fields, 4), strict=True):
        sheet.text(x, y, label, face=style.strong, anchor="rs" if x > pad else "ls", name="heading")
    rows = max(2, min(chance.randint(4, 22), int((sheet.height - y - 4.5 * step) / step)))
    for row in range(rows):
        y += step
        name = f"line {row + 1}"
        sheet.text(columns[0], y, chance.choice(words.items), name=name, role="row-label")
        values = (str(chance.randint(1, 60)), sheet.amount(1, 90), sheet.amount(10, 2000))
        for column, value in zip(columns[1:], values, strict=True):
            sheet.text(column, y, value, anchor="rs", name=name, role=f"cell {column:.0f}")
    y += step * 0.5
    sheet.rule(y, columns[1], columns[3], ink=style.ink, width=2)
    y += step
    sheet.text(columns[1], y, words.totals[2], anchor="rs", face=style.strong, name="total")
    sheet.text(
        columns[3],
        y,
        chance.choice(words.money) + sheet.amount(100, 9000),
        anchor="rs",
        face=style.strong,
        name="total",
    )
    y += step
    if y + style.size < sheet.height:
        for i, state in enumerate(chance.sample(words.states, 2)):
            x, side = pad + i * sheet.width * 0.3, style.size
            sheet.add(
                Tick(
                    box=(x, y - side, x + side, y),
                    style="box",
                    on=chance.random() < 0.5,
                    ink=style.ink,
                    fill=style.palette[0],
                    role="tick",
                    name=state,
                )
            )
            sheet.text(x + side * 1.5, y, state, name="choice")


def table(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    pad, step = sheet.width * 0.05, style.size * chance.uniform(1.6, 2.2)
    title = chance.choice(words.titles)
    y = pad + style.size * 1.4
    sheet.text(
        pad,
        y,
        title,
        size=sheet.fitting(title, round(style.size * 1.4), sheet.width * 0.8),
        face=style.strong,
        name="title",
    )
    y += step * 0.6
    kinds = chance.sample(("money", "count", "share", "state", "sign", "change"), 4)
    widest = max(sheet.wide(item) for item in words.items)
    count = max(1, min(4, int((sheet.width - 2 * pad - widest) / (style.size * 6.5))))
    cell = (sheet.width - 2 * pad - widest) / count
    rows = max(3, min(chance.randint(5, 26), int((sheet.height - y - pad) / step) - 1))
    striped, ruled = chance.random() < 0.5, chance.random() < 0.6
    for column in range(count):
        right = pad + widest + (column + 1) * cell - 4
        sheet.text(right, y + step * 0.7, chance.choice(words.fields), face=style.strong, anchor="rs", name="heading")
    for row in range(rows):
        top = y + step * (row + 1)
        if striped and row % 2:
            sheet.panel((pad / 2, top, sheet.width - pad / 2, top + step))
        if ruled:
            sheet.rule(top, pad / 2, sheet.width - pad / 2)
        base, name = top + step * 0.7, f"row {row + 1}"
        sheet.text(pad, base, chance.choice(words.items), name=name, role="row-label")
        for column, kind in zip(range(count), kinds, strict=False):
            right = pad + widest + (column + 1) * cell - 4
            match kind:
                case "sign":
                    side, sign = style.size, chance.choice(_SIGNS)
                    ink = style.palette[_SIGNS.index(sign) % 3]
                    _icon(sheet, (right - side, base - side, right, base), sign, ink, name)
                    continue
                case "money":
                    value = sheet.amount()
                case "count":
                    value = str(chance.randint(2, 9800))
                case "share":
                    value = f"{chance.uniform(0.5, 99):.1f}%"
                case "state":
                    value = chance.choice(words.states)
                case _:
                    value = f"{chance.choice(('-', '+', ''))}{chance.uniform(0.1, 30):.2f}"
            sheet.text(right, base, value, anchor="rs", name=name, role=f"cell {column}")


def _icon(
    sheet: Sheet, box: tuple[float, float, float, float], sign: str, ink: tuple[int, int, int], name: str
) -> None:
    sheet.add(Icon(box=box, sign=sign, ink=ink, role="icon", name=name))


def label(sheet: Sheet) -> None:
    """A badge, a parcel label or a door sign: few words, large."""
    style, words, chance = sheet.style, sheet.words, sheet.chance
    pad = sheet.width * 0.08
    bar = sheet.height * 0.2
    sheet.add(Rect(box=(0, 0, sheet.width, bar), fill=style.palette[0], role="swatch", name="band"))
    shop = chance.choice(words.shops)
    size = sheet.fitting(shop, round(bar * 0.35), sheet.width - 2 * pad)
    sheet.text(pad, bar * 0.65, shop, size=size, ink=(255, 255, 255), name="heading", face=style.strong)
    y = bar
    big = chance.choice(
        (chance.choice(words.names), chance.choice(words.cities), f"{sheet.digits(3)}-{sheet.digits(4)}")
    )
    size = sheet.fitting(big, round(sheet.height * 0.13), sheet.width - 2 * pad)
    y += size * 1.6
    sheet.text(pad, y, big, size=size, face=style.strong, name="main line")
    step = max(style.size * 1.8, sheet.height * 0.075)
    while y + 2.4 * step < sheet.height * 0.8:
        y += step
        value = chance.choice(
            (
                f"{chance.uniform(0.2, 40):.2f} kg",
                sheet.date(),
                sheet.digits(7),
                f"{chance.choice('ABCDEF')}{sheet.digits(2)}",
                chance.choice(words.states),
            )
        )
        sheet.text(pad, y, chance.choice(words.fields), ink=style.soft, name="field")
        sheet.text(pad + sheet.width * 0.35, y, value, name="field", role="cell")
    _barcode(sheet, (pad, sheet.height * 0.8, sheet.width * 0.7, sheet.height * 0.93))
    side = sheet.height * 0.13
    spot = (sheet.width - pad - side, sheet.height * 0.8, sheet.width - pad, sheet.height * 0.8 + side)
    if chance.random() < 0.5:
        _icon(
            sheet,
            spot,
            chance.choice(("up", "down", "left", "right", "bolt", "heart", "star")),
            style.palette[1],
            "sign",
        )
    else:
        left, top, right, bottom = spot
        diamond = (
            ((left + right) / 2, top),
            (right, (top + bottom) / 2),
            ((left + right) / 2, bottom),
            (left, (top + bottom) / 2),
        )
        sheet.add(Polygon(points=diamond, fill=style.palette[1], role="swatch", name="hazard sign"))
        sheet.add(
            Text(
                at=((left + right) / 2, (top + bottom) / 2),
                text=str(chance.randint(1, 9)),
                size=max(14, round(side * 0.45)),
                face=style.strong,
                ink=(255, 255, 255),
                anchor="mm",
                name="hazard class",
            )
        )


def _barcode(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    x, thin = left, max(2.0, (right - left) / 140)
    code = (20, 20, 20)
    sheet.add(Rect(box=(left - 8, top - 8, right + 8, bottom + 8), fill=(255, 255, 255)))
    while x + 4 * thin < right:
        wide = thin * sheet.chance.choice((1, 1, 2, 3))
        sheet.add(Rect(box=(round(x), top, round(x + wide) - 1, bottom), fill=code))
        x += wide + thin * sheet.chance.choice((1, 2))

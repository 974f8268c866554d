"""Charts: bars, lines, pies, with axes and legends."""

from benchmarks.drawn.shapes import Disc, Icon, Line, Rect, Slice
from benchmarks.drawn.sheet import Sheet

Area = tuple[float, float, float, float]


def bars(sheet: Sheet) -> None:
    chance, style = sheet.chance, sheet.style
    left, top, right, bottom = _frame(sheet, chance.choice((50, 100, 400, 1000)))
    count, series = chance.randint(4, 12), chance.choice((1, 1, 2, 3))
    pitch = (right - left) / count
    months = sheet.words.months
    labelled = series == 1 and pitch > sheet.wide("888") * 1.1
    wide = max(sheet.wide(month) for month in months[:count]) * 1.15
    every = int(wide / pitch) + 1
    for i in range(count):
        for k in range(series):
            height = chance.uniform(0.12, 0.9) * (bottom - top)
            x = left + pitch * (i + 0.15 + 0.7 * k / series)
            box = (round(x), bottom - height, round(x + 0.7 * pitch / series) - 1, bottom - 1)
            sheet.add(Rect(box=box, fill=style.palette[k], role="bar", name=f"bar {i + 1}"))
            if labelled:
                value = str(round(height / (bottom - top) * 800))
                sheet.text(x + 0.35 * pitch, bottom - height - 4, value, anchor="ms", name=f"bar {i + 1}", role="cell")
        if i % every == 0:
            sheet.text(
                left + pitch * (i + 0.5), bottom + style.size * 1.4, months[i], anchor="ms", name="month", role="corner"
            )
    if series > 1:
        _legend(sheet, series)


def lines(sheet: Sheet) -> None:
    chance, style = sheet.chance, sheet.style
    left, top, right, bottom = _frame(sheet, chance.choice((10, 60, 100, 400)))
    count, series = chance.randint(6, 16), chance.choice((1, 2, 3))
    dots = chance.random() < 0.6
    for k in range(series):
        level, points = chance.uniform(0.25, 0.75), []
        for i in range(count):
            level = min(0.95, max(0.05, level + chance.uniform(-0.18, 0.18)))
            points.append((left + (right - left) * i / (count - 1), bottom - level * (bottom - top)))
        sheet.add(
            Line(
                points=tuple(points),
                ink=style.palette[k],
                width=chance.choice((2, 3)),
                role="series",
                name=f"series {k + 1}",
            )
        )
        if dots:
            sheet.add(*(Disc(box=(x - 4, y - 4, x + 4, y + 4), fill=style.palette[k]) for x, y in points[1:-1:3]))
    every = int(max(sheet.wide(month) for month in sheet.words.months) * 1.3 / ((right - left) / 11)) + 1
    for i, month in list(enumerate(sheet.words.months))[::every]:
        x = left + (right - left) * i / 11
        sheet.text(x, bottom + style.size * 1.4, month, anchor="ms", name="month", role="corner")
    if series > 1:
        _legend(sheet, series)


def pie(sheet: Sheet) -> None:
    chance, style, words = sheet.chance, sheet.style, sheet.words
    _title(sheet)
    side = min(sheet.width * 0.5, sheet.height * 0.7)
    top = max(sheet.height * 0.2, style.size * 3.5)
    side = min(side, sheet.height - top - 20)
    left = sheet.width * 0.05
    count = chance.randint(3, 6)
    weights = [chance.uniform(1, 4) for _ in range(count)]
    at, start = chance.uniform(0, 360), 0.0
    for i, weight in enumerate(weights):
        end = start + 360 * weight / sum(weights)
        sheet.add(
            Slice(
                box=(left, top, left + side, top + side),
                start=at + start,
                end=at + end,
                fill=style.palette[i],
                role="slice",
                name=f"slice {i + 1}",
            )
        )
        y = top + style.size * (1.5 + 2 * i)
        if y < sheet.height - 4:
            box = (left + side * 1.1, y - style.size, left + side * 1.1 + style.size, y)
            sheet.add(Rect(box=box, fill=style.palette[i]))
            text = f"{words.items[(i * 7 + count) % len(words.items)]} {100 * weight / sum(weights):.1f}%"
            sheet.text(
                box[2] + 8,
                y,
                text,
                size=sheet.fitting(text, style.size, sheet.width - box[2] - 12),
                name=f"slice {i + 1}",
                role="cell",
            )
        start = end


def _title(sheet: Sheet) -> None:
    style = sheet.style
    text = f"{sheet.chance.choice(sheet.words.titles)} {sheet.chance.randint(2008, 2026)}"
    size = sheet.fitting(text, round(style.size * 1.5), sheet.width * 0.85)
    sheet.text(sheet.width / 2, style.size * 2.2, text, size=size, face=style.strong, anchor="ms", name="title")


def _frame(sheet: Sheet, highest: int) -> Area:
    """Title, axes and grid; returns the plot's area."""
    style, chance = sheet.style, sheet.chance
    _title(sheet)
    numbers = [round(highest * i / 5, 1) for i in range(6)]
    labels = [f"{number:g}" for number in numbers]
    left = 18 + max(sheet.wide(text) for text in labels)
    top, right, bottom = style.size * 4.6, sheet.width - 24, sheet.height - style.size * 2.4
    for i, text in enumerate(labels):
        y = bottom - (bottom - top) * i / 5
        sheet.rule(y, left, right, dash=chance.choice((0, 0, 5)))
        sheet.text(left - 8, y, text, anchor="rm", name="axis", role="axis")
    sheet.add(Line(points=((left, top), (left, bottom), (right, bottom)), ink=style.ink, width=2))
    if chance.random() < 0.3:
        side = style.size * 1.4
        box = (right - side, style.size, right, style.size + side)
        sheet.add(Icon(box=box, sign=chance.choice(("up", "down")), ink=style.palette[4], role="icon", name="trend"))
    return left, top, right, bottom


def _legend(sheet: Sheet, series: int) -> None:
    style, x = sheet.style, sheet.width * 0.12
    names = sheet.chance.sample(sheet.words.cities, series)
    y = style.size * 3.9
    for k, name in enumerate(names):
        sheet.add(Rect(box=(x, y - style.size * 0.8, x + style.size * 0.9, y), fill=style.palette[k]))
        sheet.text(x + style.size * 1.3, y, name, name="legend", role="legend")
        x += style.size * 2.4 + sheet.wide(name)

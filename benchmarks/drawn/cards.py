"""Pictures with something photographed on them: product cards, shelves, and plain scenes."""

from benchmarks.drawn.outlines import MODELS
from benchmarks.drawn.shapes import Icon, Photo, Rect, Rgb, Text, Thing
from benchmarks.drawn.sheet import Sheet

_WALLS: tuple[Rgb, ...] = ((205, 200, 190), (180, 195, 205), (215, 215, 215), (190, 180, 165), (120, 130, 135))
_FLOORS: tuple[Rgb, ...] = ((150, 115, 80), (130, 130, 130), (175, 150, 120), (95, 80, 70))
# Colours that a product comes in; each is far from the others.
COATS: tuple[Rgb, ...] = (
    *((190, 40, 45), (35, 85, 165), (40, 130, 70), (225, 180, 50), (45, 45, 50), (235, 235, 230)),
    *((130, 70, 140), (225, 120, 50), (110, 75, 50), (235, 150, 175)),
)


def product(sheet: Sheet) -> None:
    style, words, chance = sheet.style, sheet.words, sheet.chance
    wide = sheet.width > sheet.height
    photo = (
        (0.0, 0.0, sheet.width * 0.5, float(sheet.height))
        if wide
        else (0.0, 0.0, float(sheet.width), sheet.height * 0.62)
    )
    _photo(sheet, photo)
    side = min(photo[2] - photo[0], photo[3] - photo[1]) * chance.uniform(0.5, 0.72)
    left, top = (photo[2] - side) / 2, photo[3] * 0.92 - side
    _thing(sheet, (left, top, left + side, top + side), chance.choice(tuple(MODELS)), "product")
    x, y = (photo[2], 0.0) if wide else (0.0, photo[3])
    x += style.size * 1.2
    room, step = sheet.width - x - style.size, style.size * 1.8
    item = chance.choice(words.items)
    y += style.size * 2.2
    sheet.text(
        x,
        y,
        item,
        size=sheet.fitting(item, round(style.size * 1.4), room),
        face=style.strong,
        name="product name",
        role="title",
    )
    price = (chance.choice(words.money) or "$") + sheet.amount()
    y += style.size * 2.4
    sheet.text(
        x,
        y,
        price,
        size=sheet.fitting(price, round(style.size * 1.8), room),
        face=style.strong,
        ink=style.palette[1] if not style.dark else style.ink,
        name="price",
        role="price",
    )
    y += step
    for star in range(5):
        box = (x + star * style.size * 1.3, y - style.size, x + star * style.size * 1.3 + style.size, y)
        if star == 0 or chance.random() < 0.75:
            sheet.add(
                Icon(
                    box=box,
                    sign="star",
                    ink=(228, 140, 20),
                    role="counted",
                    name=f"star {star + 1}",
                    group=sheet.group(),
                )
            )
    sheet.text(x + style.size * 7, y, f"({chance.randint(3, 2400)})", name="number of reviews", role="cell")
    while y + step * 3 < sheet.height:
        y += step
        field = chance.choice(words.fields)
        value = chance.choice(
            (
                f"{chance.randint(2, 900)} g",
                f"{chance.uniform(0.2, 9):.1f} L",
                sheet.digits(6),
                chance.choice(words.states),
            )
        )
        sheet.text(x, y, f"{field}: {value}", size=style.size, name="detail", role="detail")
        if chance.random() < 0.2:
            break
    action = chance.choice(words.actions)
    if y + step * 2.2 < sheet.height:
        box = (x, y + step * 0.6, x + sheet.wide(action) + style.size * 2, y + step * 0.6 + style.size * 2.2)
        sheet.add(Rect(box=box, fill=(45, 95, 165), radius=6, role="swatch", name="button"))
        sheet.text(x + style.size, box[1] + style.size * 1.5, action, ink=(255, 255, 255), name="button", role="button")
    if chance.random() < 0.4:
        _badge(sheet)


def _badge(sheet: Sheet) -> None:
    size = max(16, round(min(sheet.width, sheet.height) * 0.045))
    text = f"-{sheet.chance.randint(1, 9) * 5}%"
    wide = sheet.wide(text, size) + size
    sheet.add(
        Rect(box=(size, size, size + wide, size * 2.8), fill=(190, 30, 40), radius=4, role="swatch", name="badge")
    )
    sheet.add(
        Text(
            at=(size + wide / 2, size * 1.9),
            text=text,
            size=size,
            face=sheet.style.face,
            ink=(255, 255, 255),
            anchor="mm",
            name="badge",
        )
    )


def shelf(sheet: Sheet) -> None:
    """Rows of products with price tags."""
    style, chance = sheet.style, sheet.chance
    _photo(sheet, (0.0, 0.0, float(sheet.width), float(sheet.height)))
    rows, tag = 2, max(18, style.size)
    tall = sheet.height / rows
    number = 0
    for row in range(rows):
        board = (row + 1) * tall - tag * 2
        columns = chance.randint(3, 6)
        wide = sheet.width / columns
        sheet.add(Rect(box=(0, board, sheet.width, board + tag * 2), fill=(92, 74, 58)))
        for column in range(columns):
            number += 1
            side = min(wide * 0.7, tall - tag * 3) * chance.uniform(0.75, 1)
            left = column * wide + (wide - side) / 2
            _thing(sheet, (left, board - side, left + side, board), chance.choice(tuple(MODELS)), f"product {number}")
            price = sheet.amount(1, 60)
            size = sheet.fitting(price, tag, wide * 0.7)
            sheet.add(
                Rect(
                    box=(left, board + tag * 0.3, left + sheet.wide(price, size) + tag, board + tag * 1.7),
                    fill=(250, 248, 225),
                )
            )
            sheet.text(
                left + tag / 2,
                board + tag * 1.35,
                price,
                size=size,
                ink=(20, 20, 20),
                name=f"price {number}",
                role="cell",
            )


def scene(sheet: Sheet) -> None:
    """Things on a table, without a word."""
    chance = sheet.chance
    _photo(sheet, (0.0, 0.0, float(sheet.width), float(sheet.height)))
    count = chance.randint(2, 6)
    wide = sheet.width / count
    model = chance.choice((None, *MODELS))
    for i in range(count):
        side = min(wide * 0.85, sheet.height * 0.5) * chance.uniform(0.6, 1)
        left = i * wide + chance.uniform(0, wide - side)
        base = sheet.height * chance.uniform(0.7, 0.93)
        _thing(sheet, (left, base - side, left + side, base), model or chance.choice(tuple(MODELS)), f"object {i + 1}")


def _photo(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    chance = sheet.chance
    sheet.add(Photo(box=box, seed=chance.randrange(1 << 30), above=chance.choice(_WALLS), below=chance.choice(_FLOORS)))


def _thing(sheet: Sheet, box: tuple[float, float, float, float], model: str, name: str) -> None:
    seed, fill = sheet.chance.randrange(1 << 30), sheet.chance.choice(COATS)
    sheet.add(Thing(box=box, model=model, fill=fill, seed=seed, role="thing", name=name, group=sheet.group()))

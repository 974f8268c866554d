"""One small edit of a picture, which changes what an answer about it would be."""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from benchmarks.drawn.cards import COATS
from benchmarks.drawn.outlines import ICONS, MODELS
from benchmarks.drawn.shapes import Disc, Icon, Line, Polygon, Rect, Rgb, Shape, Slice, Text, Thing, Tick, shifted
from benchmarks.drawn.sheet import PALETTE
from benchmarks.drawn.words import CHINESE, LATIN, NEAR_DIGITS, STROKES

S = TypeVar("S", bound=Shape)
Shapes = tuple[Shape, ...]
_Rewrite = Callable[[str, random.Random], str | None]


@dataclass(frozen=True, slots=True)
class Change:
    shapes: Shapes
    says: str


@dataclass(frozen=True, slots=True)
class Canvas:
    width: int
    height: int
    shapes: Shapes


Edit = Callable[[Canvas, random.Random], Change | None]


# Texts


def _rewritten(rewrite: _Rewrite, size_min: int) -> Edit:
    """`size_min`: font size below which this edit would be hard to read."""

    def edit(canvas: Canvas, chance: random.Random) -> Change | None:
        at = [i for i, shape in enumerate(canvas.shapes) if isinstance(shape, Text) and shape.size >= size_min]
        chance.shuffle(at)
        for i in at:
            shape = canvas.shapes[i]
            assert isinstance(shape, Text)
            text = rewrite(shape.text, chance)
            if text is not None and text != shape.text:
                says = f"{shape.name}: {shape.text} -> {text}"
                return Change(_with(canvas.shapes, {i: replace(shape, text=text)}), says)
        return None

    return edit


def _digit(text: str, chance: random.Random) -> str | None:
    def other(digit: str) -> str:
        return chance.choice([d for d in "0123456789" if d != digit and d not in NEAR_DIGITS[digit]])

    return _at_random(text, chance, str.isdecimal, other)


def _near_digit(text: str, chance: random.Random) -> str | None:
    return _at_random(text, chance, str.isdecimal, lambda digit: chance.choice(NEAR_DIGITS[digit]))


def _letter(text: str, chance: random.Random) -> str | None:
    def other(letter: str) -> str:
        if letter.islower():
            return chance.choice([c for c in "abdeghkmnopqsuvwxyz" if c != letter])
        return chance.choice([c for c in "ABDEGHKLMNPRSTUVWXYZ" if c != letter])

    return _at_random(text, chance, lambda c: c.isascii() and c.isalpha() and c not in "iljI", other)


_GLYPHS = "".join(sorted(set("".join("".join(words) for words in CHINESE.lists()))))


def _glyph(text: str, chance: random.Random) -> str | None:
    return _at_random(text, chance, lambda c: "一" <= c <= "鿿", lambda _: chance.choice(_GLYPHS))


def _stroke(text: str, chance: random.Random) -> str | None:
    pairs = [(a, b) for pair in STROKES for a, b in itertools.permutations(pair) if a in text]
    if not pairs:
        return None
    old, new = chance.choice(pairs)
    return _at_random(text, chance, lambda c: c == old, lambda _: new)


def _word(text: str, chance: random.Random) -> str | None:
    for words in (*LATIN.lists(), *CHINESE.lists()):
        if present := [word for word in words if word in text]:
            old = max(present, key=len)
            return text.replace(old, chance.choice([word for word in words if word != old]), 1)
    return None


def _points(text: str) -> list[int]:
    return [
        i for i in range(1, len(text) - 1) if text[i] == "." and text[i - 1].isdecimal() and text[i + 1].isdecimal()
    ]


def _point_comma(text: str, chance: random.Random) -> str | None:
    at = _points(text)
    return text[: at[0]] + "," + text[at[0] + 1 :] if at else None


def _point_lost(text: str, chance: random.Random) -> str | None:
    at = _points(text)
    return text[: at[0]] + text[at[0] + 1 :] if at else None


def _point_moved(text: str, chance: random.Random) -> str | None:
    at = _points(text)
    return text[: at[0]] + text[at[0] + 1] + "." + text[at[0] + 2 :] if at and text[at[0] + 2 :] else None


def _minus(text: str, chance: random.Random) -> str | None:
    if text[:1] == "-":
        return text[1:]
    return "-" + text if text[-1:].isdecimal() and text[:1].isdecimal() and _points(text) else None


def _at_random(
    text: str, chance: random.Random, fits: Callable[[str], bool], other: Callable[[str], str]
) -> str | None:
    at = [i for i, letter in enumerate(text) if fits(letter)]
    if not at:
        return None
    i = chance.choice(at)
    return text[:i] + other(text[i]) + text[i + 1 :]


def _rows_swapped(canvas: Canvas, chance: random.Random) -> Change | None:
    at = [i for i, shape in enumerate(canvas.shapes) if isinstance(shape, Text) and shape.role and shape.size >= 11]
    chance.shuffle(at)
    for i in at:
        one = canvas.shapes[i]
        for k in at:
            two = canvas.shapes[k]
            assert isinstance(one, Text)
            assert isinstance(two, Text)
            if one.role == two.role and one.size == two.size and one.text != two.text:
                swapped = {i: replace(one, text=two.text), k: replace(two, text=one.text)}
                return Change(_with(canvas.shapes, swapped), f"swapped: {one.text} and {two.text}")
    return None


# Shapes


def _bar(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Rect, ("bar", "bar-x"))):
        return None
    i, bar = found
    left, top, right, bottom = bar.box
    if bar.role == "bar":
        step = max(8.0, canvas.height * 0.025) * chance.choice((-1, 1))
        top = top + step if bottom - (top + step) > 12 else top - abs(step)
    else:
        step = max(8.0, (right - left) * 0.12) * chance.choice((-1, 1))
        right = right + step if right + step - left > 12 else right + abs(step)
    return Change(
        _with(canvas.shapes, {i: replace(bar, box=(left, top, right, bottom))}), f"{bar.name}: another length"
    )


def _bend(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Line, ("series",))):
        return None
    i, line = found
    k = chance.randrange(1, len(line.points) - 1)
    x, y = line.points[k]
    step = max(10.0, canvas.height * 0.035) * chance.choice((-1, 1))
    points = (*line.points[:k], (x, y + step), *line.points[k + 1 :])
    return Change(_with(canvas.shapes, {i: replace(line, points=points)}), f"{line.name}: point {k + 1} moved")


def _slice(canvas: Canvas, chance: random.Random) -> Change | None:
    at = [i for i, shape in enumerate(canvas.shapes) if isinstance(shape, Slice)]
    if len(at) < 2:
        return None
    k = chance.randrange(len(at) - 1)
    one, two = canvas.shapes[at[k]], canvas.shapes[at[k + 1]]
    assert isinstance(one, Slice)
    assert isinstance(two, Slice)
    step = chance.uniform(8, 16) * chance.choice((-1, 1))
    if min(one.end + step - one.start, two.end - one.end - step) < 10:
        step = -step
    moved = {at[k]: replace(one, end=one.end + step), at[k + 1]: replace(two, start=two.start + step)}
    return Change(_with(canvas.shapes, moved), f"{one.name}: {abs(step):.0f} degrees moved")


def _colour(canvas: Canvas, chance: random.Random) -> Change | None:
    roles = ("bar", "swatch", "thing", "icon", "series", "slice", "counted", "bar-x")
    if not (found := _pick(canvas, chance, Shape, roles)):
        return None
    i, shape = found
    options = COATS if isinstance(shape, Thing) else PALETTE
    match shape:
        case Rect(fill=fill) | Disc(fill=fill) | Slice(fill=fill) | Polygon(fill=fill) | Thing(fill=fill) if fill:
            changed: Shape = replace(shape, fill=_other_colour(fill, options, chance))
        case Icon(ink=ink) | Line(ink=ink):
            changed = replace(shape, ink=_other_colour(ink, options, chance))
        case _:
            return None
    return Change(_with(canvas.shapes, {i: changed}), f"{shape.name}: another colour")


def _other_colour(old: Rgb, options: tuple[Rgb, ...], chance: random.Random) -> Rgb:
    return chance.choice([new for new in options if sum(abs(a - b) for a, b in zip(old, new, strict=True)) > 120])


def _removed(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Shape, ("object", "thing", "mark", "dashable", "bubble"))):
        return None
    i, gone = found
    kept = tuple(
        shape for k, shape in enumerate(canvas.shapes) if k != i and not (gone.group and shape.group == gone.group)
    )
    return Change(kept, f"{gone.name}: removed")


def _count(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Shape, ("counted",))):
        return None
    i, gone = found
    return Change(canvas.shapes[:i] + canvas.shapes[i + 1 :], f"{gone.name}: one less")


def _moved(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Shape, ("object", "thing"))):
        return None
    i, shape = found
    step = max(12.0, canvas.width * 0.03)
    x, y = chance.choice(((step, 0), (-step, 0), (0, -step), (step, -step)))
    group = [k for k, other in enumerate(canvas.shapes) if k == i or (shape.group and other.group == shape.group)]
    return Change(
        _with(canvas.shapes, {k: shifted(canvas.shapes[k], x, y) for k in group}),
        f"{shape.name}: moved by {x:.0f}, {y:.0f}",
    )


def _tick(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Tick, ("tick",))):
        return None
    i, tick = found
    says = f"{tick.name}: {'on' if tick.on else 'off'} -> {'off' if tick.on else 'on'}"
    return Change(_with(canvas.shapes, {i: replace(tick, on=not tick.on)}), says)


def _bubble(canvas: Canvas, chance: random.Random) -> Change | None:
    """A message of one side becomes the other side's."""
    if not (found := _pick(canvas, chance, Rect, ("bubble",))):
        return None
    _, bubble = found
    fills = {shape.fill for shape in canvas.shapes if isinstance(shape, Rect) and shape.role == "bubble"} - {
        bubble.fill
    }
    left, _, right, _ = bubble.box
    x = canvas.width - right - left
    moved: dict[int, Shape] = {}
    for k, shape in enumerate(canvas.shapes):
        if shape.group == bubble.group:
            there = shifted(shape, x, 0)
            if isinstance(there, Rect) and fills:
                there = replace(there, fill=min(fills, key=str))
            moved[k] = there
    return Change(_with(canvas.shapes, moved), f"{bubble.name}: of the other side")


def _icon(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Icon, ("icon",))):
        return None
    i, icon = found
    sign = chance.choice([other for other in ICONS if other != icon.sign])
    return Change(_with(canvas.shapes, {i: replace(icon, sign=sign)}), f"{icon.name}: {icon.sign} -> {sign}")


def _dashed(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Line, ("dashable",))):
        return None
    i, line = found
    if len(line.points) > 2:
        return None
    says = f"{line.name}: {'dashed -> solid' if line.dash else 'solid -> dashed'}"
    return Change(_with(canvas.shapes, {i: replace(line, dash=0 if line.dash else 7)}), says)


def _pointer(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Line, ("pointer",))):
        return None
    i, line = found
    (x0, y0), (x1, y1) = line.points
    turned = ((x0, y0), (x0 - (y1 - y0), y0 + (x1 - x0)))
    return Change(_with(canvas.shapes, {i: replace(line, points=turned)}), f"{line.name}: turned by 90 degrees")


def _kind_of_thing(canvas: Canvas, chance: random.Random) -> Change | None:
    if not (found := _pick(canvas, chance, Thing, ("thing",))):
        return None
    i, thing = found
    model = chance.choice([other for other in MODELS if other != thing.model])
    return Change(_with(canvas.shapes, {i: replace(thing, model=model)}), f"{thing.name}: {thing.model} -> {model}")


def _pick(canvas: Canvas, chance: random.Random, form: type[S], roles: tuple[str, ...]) -> tuple[int, S] | None:
    found = [(i, shape) for i, shape in enumerate(canvas.shapes) if isinstance(shape, form) and shape.role in roles]
    return chance.choice(found) if found else None


def _with(shapes: Shapes, changed: Mapping[int, Shape]) -> Shapes:
    return tuple(changed.get(i, shape) for i, shape in enumerate(shapes))


TEXT_EDITS: dict[str, Edit] = {
    "digit": _rewritten(_digit, 11),
    "near-digit": _rewritten(_near_digit, 12),
    "point-comma": _rewritten(_point_comma, 14),
    "point-lost": _rewritten(_point_lost, 11),
    "point-moved": _rewritten(_point_moved, 12),
    "minus": _rewritten(_minus, 11),
    "letter": _rewritten(_letter, 11),
    "stroke": _rewritten(_stroke, 16),
    "glyph": _rewritten(_glyph, 12),
    "word": _rewritten(_word, 11),
    "row-swapped": _rows_swapped,
}
SHAPE_EDITS: dict[str, Edit] = {
    "bar-height": _bar,
    "line-bend": _bend,
    "slice": _slice,
    "colour": _colour,
    "object-removed": _removed,
    "object-moved": _moved,
    "object-kind": _kind_of_thing,
    "count": _count,
    "tick": _tick,
    "bubble": _bubble,
    "icon": _icon,
    "dashed": _dashed,
    "pointer": _pointer,
}
EDITS = TEXT_EDITS | SHAPE_EDITS

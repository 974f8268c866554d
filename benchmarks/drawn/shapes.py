"""What a picture is drawn from: a list of shapes. An edit replaces shapes; nothing else ever changes."""

from dataclasses import dataclass, replace

Rgb = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom, pixels
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    role: str = ""  # what edits look for
    name: str = ""  # what people call it
    group: int = 0  # shapes of one thing share it


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Shape):
    at: Point
    text: str
    size: int
    face: str
    ink: Rgb
    anchor: str = "ls"  # as Pillow has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect(Shape):
    box: Box
    fill: Rgb | None = None
    outline: Rgb | None = None
    width: int = 1
    radius: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Shape):
    points: tuple[Point, ...]
    ink: Rgb
    width: int = 2
    dash: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc(Shape):
    box: Box
    fill: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Shape):
    box: Box
    start: float  # degrees
    end: float
    fill: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon(Shape):
    points: tuple[Point, ...]
    fill: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick(Shape):
    """A box, a radio button or a switch."""

    box: Box
    style: str
    on: bool
    ink: Rgb
    fill: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Icon(Shape):
    box: Box
    sign: str
    ink: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(Shape):
    """Something like the background of a photo, different for each seed."""

    box: Box
    seed: int
    above: Rgb
    below: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing(Shape):
    """Something like a photographed object, with its shadow."""

    box: Box
    model: str
    fill: Rgb
    seed: int


def shifted(shape: Shape, x: float, y: float) -> Shape:
    match shape:
        case Text(at=at):
            return replace(shape, at=(at[0] + x, at[1] + y))
        case Line(points=points) | Polygon(points=points):
            return replace(shape, points=tuple((a + x, b + y) for a, b in points))
        case Rect() | Disc() | Slice() | Tick() | Icon() | Photo() | Thing():
            left, top, right, bottom = shape.box
            return replace(shape, box=(left + x, top + y, right + x, bottom + y))
    raise TypeError(f"cannot shift {shape!r}")

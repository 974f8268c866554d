"""An empty sheet with a style: what the kinds of picture are drawn with."""

import random
from dataclasses import dataclass, field
from typing import Any

from benchmarks.drawn import fonts
from benchmarks.drawn.shapes import Line, Rect, Rgb, Shape, Text
from benchmarks.drawn.words import Words

_LIGHT: tuple[Rgb, ...] = ((255, 255, 255), (252, 248, 238), (240, 245, 250), (245, 240, 246), (236, 244, 236))
_DARK: tuple[Rgb, ...] = ((22, 24, 28), (18, 32, 47), (38, 36, 40), (12, 12, 12))
# Against its ground, each ink is at least 90 grey levels away, and the soft ones 65.
_INKS_ON_LIGHT: tuple[Rgb, ...] = ((20, 20, 20), (40, 40, 60), (70, 40, 30), (20, 50, 90), (80, 80, 80))
_INKS_ON_DARK: tuple[Rgb, ...] = ((240, 240, 240), (210, 220, 235), (190, 215, 180), (235, 215, 170))
PALETTE: tuple[Rgb, ...] = (
    *((31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189), (140, 86, 75)),
    *((227, 119, 194), (188, 165, 34), (23, 170, 190), (60, 70, 150)),
)


@dataclass(frozen=True, slots=True)
class Style:
    ground: Rgb
    other: Rgb  # the far end of a gradient
    texture: str
    ink: Rgb
    soft: Rgb
    face: str
    strong: str  # face of headings
    size: int
    palette: tuple[Rgb, ...]
    dark: bool


def choose_style(chance: random.Random, script: str, least: int) -> Style:
    """`least`: smallest font size, pixels."""
    dark = chance.random() < 0.22
    ground = chance.choice(_DARK if dark else _LIGHT)
    there = fonts.faces()
    faces = there.latin if script == "latin" else there.chinese
    face = chance.choice(faces)
    bold = face.replace("Sans.ttf", "Sans-Bold.ttf").replace("Serif.ttf", "Serif-Bold.ttf")
    shade = 18 if dark else -14
    return Style(
        ground=ground,
        other=_moved(ground, shade),
        texture=chance.choice(("plain", "plain", "plain", "paper", "gradient")),
        ink=chance.choice(_INKS_ON_DARK if dark else _INKS_ON_LIGHT),
        soft=(165, 165, 170) if dark else (115, 115, 120),
        face=face,
        strong=bold if bold in faces and chance.random() < 0.7 else face,
        size=max(least, min(34, round(chance.triangular(11, 34, 15)))),
        palette=tuple(sorted(chance.sample(PALETTE, len(PALETTE)), key=lambda rgb: dark and max(rgb) < 160)),
        dark=dark,
    )


def _moved(rgb: Rgb, by: int) -> Rgb:
    red, green, blue = (min(255, max(0, value + by)) for value in rgb)
    return red, green, blue


@dataclass(slots=True)
class Sheet:
    width: int
    height: int
    chance: random.Random
    words: Words
    style: Style
    shapes: list[Shape] = field(default_factory=list)
    _groups: int = 0

    def add(self, *shapes: Shape) -> None:
        self.shapes.extend(shapes)

    def group(self) -> int:
        self._groups += 1
        return self._groups

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        style = self.style
        usual: dict[str, Any] = {"size": style.size, "face": style.face, "ink": style.ink}
        self.add(Text(at=(x, y), text=text, **usual | options))

    def wide(self, text: str, size: int | None = None) -> float:
        return fonts.width(text, self.style.face, size or self.style.size)

    def fitting(self, text: str, size: int, room: float) -> int:
        """The largest font size up to `size` at which `text` fits, not below 12."""
        while size > 12 and self.wide(text, size) > room:
            size -= 1
        return size

    def rule(self, y: float, left: float, right: float, **options: Any) -> None:
        usual: dict[str, Any] = {"ink": self.style.soft, "width": 1}
        self.add(Line(points=((left, y), (right, y)), **usual | options))

    def panel(self, box: tuple[float, float, float, float], **options: Any) -> None:
        """A surface a little off the ground."""
        usual: dict[str, Any] = {"fill": _moved(self.style.ground, 16 if self.style.dark else -12)}
        self.add(Rect(box=box, **usual | options))

    def amount(self, low: float = 1, high: float = 400) -> str:
        value = round(self.chance.uniform(low, high) * self.chance.choice((1, 1, 0.2, 5)), 2)
        return f"{value:,.2f}" if value >= 1000 and self.chance.random() < 0.5 else f"{value:.2f}"

    def digits(self, count: int) -> str:
        return "".join(self.chance.choice("0123456789") for _ in range(count))

    def date(self) -> str:
        return f"{self.chance.randint(2019, 2026)}-{self.chance.randint(1, 12):02}-{self.chance.randint(1, 28):02}"

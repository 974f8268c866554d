"""Drawn pictures in pairs that differ by one readable edit, as many as wanted.

`drawn_pair(seed)` draws one pair; the same seed gives the same pixels where the same fonts are installed.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.drawn import cards, charts, exams, fonts, pages, screens
from benchmarks.drawn.edits import EDITS, TEXT_EDITS, Canvas
from benchmarks.drawn.render import ground, paint, scanned
from benchmarks.drawn.sheet import Sheet, choose_style
from benchmarks.drawn.words import CHINESE, LATIN

__all__ = ["KINDS", "Drawn", "drawn_pair"]

_SQUARE = ((480, 480), (640, 640), (900, 900))
_WIDE = ((640, 480), (800, 600), (1024, 768), (1280, 720), (1600, 1200))
_TALL = ((480, 640), (600, 900), (768, 1024), (900, 1200))
_PAPER = ((1240, 1754),)
_PHONE = ((540, 1170), (720, 1280), (750, 1334), (1080, 2340))

# A channel that changes by this many levels, in this many pixels, is seen.
_SEEN_LEVELS, _SEEN_PIXELS = 60, 5


@dataclass(frozen=True, slots=True)
class _Kind:
    draw: Callable[[Sheet], None]
    sizes: tuple[tuple[int, int], ...]
    scanned: float = 0.0  # share that looks scanned or photographed


_KINDS = {
    "receipt": _Kind(pages.receipt, (*_TALL, *_TALL, (480, 480), *_PHONE[:1]), 0.4),
    "invoice": _Kind(pages.invoice, (*_TALL[1:], *_TALL[1:], *_PAPER), 0.3),
    "table": _Kind(pages.table, (*_SQUARE, *_WIDE, *_TALL, *_PAPER), 0.15),
    "exam": _Kind(exams.exam, (*_SQUARE, *_WIDE[:3], *_TALL, *_PAPER), 0.3),
    "label": _Kind(pages.label, (*_SQUARE, *_WIDE[:3]), 0.3),
    "bars": _Kind(charts.bars, (*_SQUARE, *_WIDE)),
    "lines": _Kind(charts.lines, (*_SQUARE, *_WIDE)),
    "pie": _Kind(charts.pie, (*_SQUARE, *_WIDE)),
    "phone": _Kind(screens.phone, (*_PHONE[:3], *_PHONE[:3], *_PHONE)),
    "desktop": _Kind(screens.desktop, _WIDE[1:]),
    "chat": _Kind(screens.chat, (*_TALL[:2], *_PHONE)),
    "product": _Kind(cards.product, (*_SQUARE, *_WIDE[:4], *_TALL), 0.2),
    "shelf": _Kind(cards.shelf, (*_WIDE[1:],), 0.3),
    "scene": _Kind(cards.scene, (*_SQUARE[:2], *_WIDE), 0.2),
}
KINDS = tuple(_KINDS)
_SMALLEST_TEXT = {"latin": 11, "chinese": 14}


@dataclass(frozen=True, slots=True)
class Drawn:
    kind: str  # of KINDS
    script: str  # latin or chinese
    edit: str  # class of the edit
    says: str
    before: Image.Image  # RGB
    after: Image.Image
    box: tuple[int, int, int, int]  # left, top, right, bottom of what differs, pixels


def drawn_pair(seed: int) -> Drawn:
    """Two pictures of one size that differ by one edit that a person can read at full size."""
    chance = random.Random(seed)
    scripts = ("latin", "chinese") if fonts.faces().chinese else ("latin",)
    round_, place = divmod(seed, len(KINDS))  # in turns, so that few seeds show every kind in every script
    name, script = KINDS[place], scripts[round_ % len(scripts)]
    kind = _KINDS[name]
    while True:  # nearly always once: a drawing without any readable edit is drawn anew
        sheet = _drawn(kind, script, chance)
        empty = ground((sheet.width, sheet.height), sheet.style.texture, sheet.style.ground, sheet.style.other, seed)
        before = Canvas(sheet.width, sheet.height, tuple(sheet.shapes))
        clean = paint(empty, before.shapes)
        for edit in _shuffled(chance):
            change = EDITS[edit](before, chance)
            if change and _seen(clean, edited := paint(empty, change.shapes)):
                return _finished(Drawn(name, script, edit, change.says, clean, edited, (0, 0, 0, 0)), kind, seed)


def _shuffled(chance: random.Random) -> list[str]:
    """The edits, those of shapes first in two pictures of five: nearly every picture has text as well."""
    names = chance.sample(list(EDITS), len(EDITS))
    if chance.random() < 0.4:
        names.sort(key=TEXT_EDITS.__contains__)
    return names


def _drawn(kind: _Kind, script: str, chance: random.Random) -> Sheet:
    width, height = chance.choice(kind.sizes)
    style = choose_style(chance, script, _SMALLEST_TEXT[script])
    most = max(_SMALLEST_TEXT[script], min(width, height) // 26)  # larger text leaves no room on a small sheet
    style = replace(style, size=min(style.size, most))
    sheet = Sheet(width, height, chance, LATIN if script == "latin" else CHINESE, style)
    kind.draw(sheet)
    return sheet


def _finished(pair: Drawn, kind: _Kind, seed: int) -> Drawn:
    """The pair as it would reach us, with the box of what differs."""
    chance = random.Random(seed ^ 0x5EED)
    before, after = pair.before, pair.after
    if chance.random() < kind.scanned:
        sigma, vignette = chance.uniform(1, 3), chance.uniform(0, 0.25)
        before, after = (scanned(image, sigma, vignette, seed) for image in (before, after))
    return replace(pair, before=before, after=after, box=_box(_away(before, after) > 0))


def _seen(before: Image.Image, after: Image.Image) -> bool:
    return int((_away(before, after) >= _SEEN_LEVELS).sum()) >= _SEEN_PIXELS


def _away(before: Image.Image, after: Image.Image) -> NDArray[np.int16]:
    """Largest difference of a channel, per pixel."""
    return np.asarray(np.abs(np.asarray(before, np.int16) - np.asarray(after, np.int16)).max(axis=2))


def _box(differs: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

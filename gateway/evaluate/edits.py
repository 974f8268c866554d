"""Small edits after which a picture is another picture: one glyph, one sign, one object.

The one home of synthetic edits on real pictures. Pure and seeded. An edit that a person could overlook is thrown away
and another one made, so that a hit on an edited picture is a wrong hit beyond dispute.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gateway.box import Box, Rgb
from gateway.evaluate.places import Blob, Glyph, Mask, Places

# An edit counts as visible if this many pixels changed by this many levels, at the size that a model sees.
_VISIBLE_PX, _VISIBLE_LEVELS, _SEEN_SIDE_PX = 12, 40, 1600
_SIDE_MIN_PX = 48  # a smaller picture has no small edit
_TRIES = 20  # places per kind of edit
_TEXT_MANY = 8  # glyphs, from which on a picture is about its text

_HUES: Final = ((210, 30, 30), (30, 130, 40), (30, 60, 200), (230, 150, 0), (140, 30, 150), (0, 150, 160))
_SIGNS: Final = "0123456789"


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    picture: Image.Image
    kind: str
    box: Box  # where, pixels


class Editor:
    """Edits of one RGB picture. What can be edited is found once."""

    def __init__(self, picture: Image.Image) -> None:
        self._picture = picture.convert("RGB")
        self._places = Places(np.asarray(self._picture))

    def edit(self, seed: int) -> Edited | None:
        """One visible edit, the same for the same seed. None if the picture offers no place for any."""
        if min(self._picture.size) < _SIDE_MIN_PX:
            return None
        chance = Random(seed)
        for kind, make in self._kinds(chance):
            for _ in range(_TRIES):
                rgb = make(self._places, chance)
                if rgb is not None and (box := _visible_change(self._places.rgb, rgb)):
                    return Edited(Image.fromarray(rgb), kind, box)
        return None

    def _kinds(self, chance: Random) -> list[tuple[str, "Make"]]:
        """Every kind in the order of trying: mostly text first where there is much of it, objects elsewhere."""
        text, objects = chance.sample(_TEXT_EDITS, len(_TEXT_EDITS)), chance.sample(_OBJECT_EDITS, len(_OBJECT_EDITS))
        many = len(self._places.glyph_boxes) >= _TEXT_MANY
        first, then = (text, objects) if chance.random() < (0.85 if many else 0.3) else (objects, text)
        return [*first, *then, ("mark drawn", _mark_drawn)]


Make = Callable[[Places, Random], Rgb | None]


def _glyph_replaced(places: Places, chance: Random) -> Rgb | None:
    """Another glyph of the picture, of about the same height, in the place of one."""
    glyph, other = _any_glyph(places, chance), _any_glyph(places, chance)
    if glyph is None or other is None or _alike(glyph.ink, other.ink):
        return None
    box = Box(glyph.box.left, glyph.box.bottom - other.box.height, glyph.box.left + other.box.width, glyph.box.bottom)
    fits = abs(np.log(other.box.height / glyph.box.height)) < 0.15 and box.width <= 1.25 * glyph.box.width + 1
    if not fits or not box.inside(places.rgb):
        return None
    rgb = _erased(places.rgb, glyph)
    _ink_in(rgb, box, other.ink, glyph.colour)
    return rgb


def _glyph_erased(places: Places, chance: Random) -> Rgb | None:
    glyph = _any_glyph(places, chance)
    return None if glyph is None else _erased(places.rgb, glyph)


def _digit_added(places: Places, chance: Random) -> Rgb | None:
    """A digit after the last glyph of a word, or a minus before its first."""
    glyph = _any_glyph(places, chance)
    if glyph is None:
        return None
    sign = chance.choice((*_SIGNS, "-", "."))
    high = glyph.box.height
    gap, font = max(2, round(0.15 * high)), ImageFont.load_default(max(8, high / 0.72))
    left, top, right, bottom = (round(v) for v in font.getbbox(sign))
    width = right - left
    x = glyph.box.left - gap - width if sign == "-" else glyph.box.right + gap
    drawn_top = glyph.box.bottom - bottom if sign == "." else glyph.box.top - top
    if sign == "-":
        drawn_top = (glyph.box.top + glyph.box.bottom) // 2 - (top + bottom) // 2
    room = Box(x, glyph.box.top, x + width, glyph.box.bottom).grown(2)
    if not room.inside(places.rgb) or np.ptp(room.of(places.rgb).reshape(-1, 3), axis=0).max() > 40:
        return None
    drawn = Image.fromarray(places.rgb)
    ImageDraw.Draw(drawn).text((x - left, drawn_top), sign, font=font, fill=glyph.colour)
    return np.asarray(drawn)


def _object_recoloured(places: Places, chance: Random) -> Rgb | None:
    blob = _any_blob(places, chance)
    if blob is None:
        return None
    rgb = places.rgb.copy()
    patch = blob.box.of(rgb).astype(np.float32)
    hue = np.array(chance.choice(_HUES), np.float32)
    shade = patch.mean(axis=2, keepdims=True) / max(1.0, float(hue.mean()))
    shade = np.clip(shade, 0.75, 1.5)  # black and white objects take a colour that nobody overlooks
    blob.box.of(rgb)[:] = _mixed(patch, np.clip(shade * hue, 0, 255), blob.inside)
    return rgb


def _object_removed(places: Places, chance: Random) -> Rgb | None:
    blob = _any_blob(places, chance)
    return None if blob is None else _without(places.rgb, blob)


def _object_moved(places: Places, chance: Random) -> Rgb | None:
    blob = _any_blob(places, chance)
    if blob is None:
        return None
    right = round(blob.box.width * chance.choice((-1.3, -0.8, 0.8, 1.3)))
    down = round(blob.box.height * chance.choice((-0.3, 0, 0.3)))
    there = blob.box.moved(right, down)
    if not there.inside(places.rgb):
        return None
    rgb = _without(places.rgb, blob)
    shown = blob.box.of(places.rgb).astype(np.float32)
    there.of(rgb)[:] = _mixed(there.of(rgb).astype(np.float32), shown, blob.inside)
    return rgb


def _mark_drawn(places: Places, chance: Random) -> Rgb | None:
    """A box, a dot or a tick, as a person marks something, in a colour that stands out there."""
    height, width = places.rgb.shape[:2]
    size = max(14, round(min(height, width) * chance.uniform(0.03, 0.06)))
    left, top = chance.randrange(max(1, width - size)), chance.randrange(max(1, height - size))
    box = Box(left, top, left + size, top + size)
    if not box.inside(places.rgb):
        return None
    around = box.of(places.rgb).reshape(-1, 3).mean(axis=0)
    colour = max(chance.sample(_HUES, 3), key=lambda hue: float(np.abs(around - hue).max()))
    drawn, stroke = Image.fromarray(places.rgb), max(2, size // 8)
    draw, edges = ImageDraw.Draw(drawn), (box.left, box.top, box.right - 1, box.bottom - 1)
    match chance.choice(("box", "dot", "tick")):
        case "box":
            draw.rectangle(edges, outline=colour, width=stroke)
        case "dot":
            draw.ellipse(edges, fill=colour)
        case _:
            half = size // 2
            corner = (left + half - stroke, top + size - stroke)
            draw.line([(left, top + half), corner, (left + size - 1, top)], fill=colour, width=stroke)
    return np.asarray(drawn)


_TEXT_EDITS: Final[tuple[tuple[str, Make], ...]] = (
    ("glyph replaced", _glyph_replaced),
    ("glyph erased", _glyph_erased),
    ("sign added", _digit_added),
)
_OBJECT_EDITS: Final[tuple[tuple[str, Make], ...]] = (
    ("object recoloured", _object_recoloured),
    ("object removed", _object_removed),
    ("object moved", _object_moved),
    ("mark drawn", _mark_drawn),
)


def _any_glyph(places: Places, chance: Random) -> Glyph | None:
    return places.glyph(chance.choice(places.glyph_boxes)) if places.glyph_boxes else None


def _any_blob(places: Places, chance: Random) -> Blob | None:
    return chance.choice(places.blobs) if places.blobs else None


def _alike(one: Mask, other: Mask) -> bool:
    """Whether two glyphs look alike, so that exchanging them would change little."""
    small = [np.asarray(cv2.resize(ink, (16, 16), interpolation=cv2.INTER_AREA)) for ink in (one, other)]
    shared, either = np.minimum(*small).sum(), np.maximum(*small).sum()
    return bool(shared > 0.7 * either)


def _erased(rgb: Rgb, glyph: Glyph) -> Rgb:
    """The ground alone, with the soft rim of the glyph."""
    box = glyph.box
    around = Box(box.left - 1, box.top - 2, box.right + 1, box.bottom + 2)
    changed = rgb.copy()
    around.of(changed)[:] = glyph.ground
    return changed


def _ink_in(rgb: Rgb, box: Box, ink: Mask, colour: tuple[int, int, int]) -> None:
    patch = box.of(rgb).astype(np.float32)
    box.of(rgb)[:] = _mixed(patch, np.broadcast_to(np.array(colour, np.float32), patch.shape), ink)


def _mixed(below: NDArray[np.float32], above: NDArray[np.float32], share: Mask) -> Rgb:
    mixed = below + share[..., None] * (above - below)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _without(rgb: Rgb, blob: Blob) -> Rgb:
    """What is around an object, drawn on across it."""
    margin = max(4, max(blob.box.width, blob.box.height) // 4)
    height, width = rgb.shape[:2]
    grown = blob.box.grown(margin)
    around = Box(max(0, grown.left), max(0, grown.top), min(width, grown.right), min(height, grown.bottom))
    hole = np.zeros((around.height, around.width), np.uint8)
    left, top = blob.box.left - around.left, blob.box.top - around.top
    hole[top : top + blob.box.height, left : left + blob.box.width] = blob.inside > 0.05
    hole = np.asarray(cv2.dilate(hole, np.ones((5, 5), np.uint8)))
    changed = rgb.copy()
    around.of(changed)[:] = cv2.inpaint(np.ascontiguousarray(around.of(rgb)), hole, 4, cv2.INPAINT_TELEA)
    return changed


def _visible_change(before: Rgb, after: Rgb) -> Box | None:
    """The box around what changed; None if that is too little to be seen."""
    away = np.asarray(cv2.absdiff(before, after)).max(axis=2)
    scale = max(1.0, max(before.shape[:2]) / _SEEN_SIDE_PX)
    if int((away >= _VISIBLE_LEVELS).sum()) < _VISIBLE_PX * scale * scale:
        return None
    rows, columns = np.flatnonzero(away.any(axis=1)), np.flatnonzero(away.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

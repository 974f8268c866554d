"""Pictures of a difference: a heat map over the asked picture, a close-up, and a small one for a terminal. Pure."""

import base64
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from cache.guard import LIMIT
from gateway.box import Box, Rgb

Heat = NDArray[np.float32]  # (h, w), difference over its limit

_SHOWN_FROM = 0.3  # of the limit: below this is noise of every re-encoding
_WARM: Final = np.array((255, 214, 0), np.float32)
_HOT: Final = np.array((235, 0, 40), np.float32)
_OUTLINE: Final = (0, 190, 255)
_CLOSE_MIN_PX, _CLOSE_SHOWN_PX, _GAP_PX = 72, 300, 8
_JPEG_QUALITY = 82


def hottest(heat: Heat) -> Box:
    """The place around the largest difference: all that is over the limit there, or nearly as large."""
    warm = (heat >= min(LIMIT, 0.6 * float(heat.max()))).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(warm)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    left, top, width, height = (int(v) for v in stats[labels[row, column]][:4])
    return Box(left, top, left + width, top + height)


def overlay(asked: Rgb, heat: Heat) -> Rgb:
    """The asked picture, grey and dimmed, with the heat over it: yellow to red at the limit. The hottest place is
    outlined where it is over the limit."""
    shown = _glowing(asked, heat)
    return outlined(shown, hottest(heat)) if float(heat.max()) > LIMIT else shown


def _glowing(asked: Rgb, heat: Heat) -> Rgb:
    gray = cv2.cvtColor(asked, cv2.COLOR_RGB2GRAY).astype(np.float32)
    below = np.repeat((0.45 * gray + 0.25 * 255)[..., None], 3, axis=2)
    strength = np.clip((heat - _SHOWN_FROM) / (1 - _SHOWN_FROM), 0, 1)[..., None]
    colour = _WARM + strength * (_HOT - _WARM)
    share = np.where(strength > 0, 0.25 + 0.75 * strength, 0)
    return np.asarray(np.rint(below + share * (colour - below)), np.uint8)


def outlined(rgb: Rgb, box: Box) -> Rgb:
    """A frame around `box`, clear of what it shows."""
    thick = max(2, max(rgb.shape[:2]) // 300)
    around = box.grown(3 * thick)
    drawn = np.ascontiguousarray(rgb).copy()
    cv2.rectangle(drawn, (around.left, around.top), (around.right, around.bottom), _OUTLINE, thick, cv2.LINE_AA)
    return drawn


def close_up(stored: Rgb, asked: Rgb, box: Box) -> Rgb:
    """The same place of both pictures side by side, enlarged: stored left, asked right."""
    height, width = asked.shape[:2]
    side = max(_CLOSE_MIN_PX, 2 * max(box.width, box.height))
    wide, high = min(side, width), min(side, height)
    left = min(max(0, (box.left + box.right - wide) // 2), width - wide)
    top = min(max(0, (box.top + box.bottom - high) // 2), height - high)
    place, scale = Box(left, top, left + wide, top + high), _CLOSE_SHOWN_PX / max(wide, high)
    size, how = (round(wide * scale), round(high * scale)), cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    one, two = (cv2.resize(np.ascontiguousarray(place.of(rgb)), size, interpolation=how) for rgb in (stored, asked))
    gap = np.full((size[1], _GAP_PX, 3), 128, np.uint8)
    return np.asarray(np.hstack([one, gap, two]), np.uint8)


def beside(stored: Rgb, asked: Rgb) -> Rgb:
    """Two pictures that do not lie on each other, at one height."""
    height = max(32, min(640, max(stored.shape[0], asked.shape[0])))
    shown = [cv2.resize(rgb, (max(1, round(rgb.shape[1] * height / rgb.shape[0])), height)) for rgb in (stored, asked)]
    return np.asarray(np.hstack([shown[0], np.full((height, _GAP_PX, 3), 128, np.uint8), shown[1]]), np.uint8)


def data_url(rgb: Rgb, side_max: int) -> str:
    """A picture to be shown inside a page, at most so long."""
    return "data:image/jpeg;base64," + base64.b64encode(small(rgb, side_max)).decode()


def small(rgb: Rgb, side_max: int, quality: int = _JPEG_QUALITY) -> bytes:
    """A picture as a JPEG file, at most so long."""
    scale = side_max / max(rgb.shape[:2])
    if scale < 1:
        size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def blocks(asked: Rgb, heat: Heat, columns: int, rows: int) -> Text:
    """The map for a terminal of that many characters: two pixels each, one above the other. A pixel is as hot as the
    hottest that it stands for, so that a changed digit does not fade away."""
    height, width = heat.shape
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), 2 * max(1, round(height * scale / 2))
    reach = np.ones((max(1, height // size[1]), max(1, width // size[0])), np.uint8)
    hot = cv2.resize(cv2.dilate(heat, reach), size, interpolation=cv2.INTER_NEAREST)
    small = _glowing(np.asarray(cv2.resize(asked, size, interpolation=cv2.INTER_AREA)), np.asarray(hot, np.float32))
    text = Text()
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", f"rgb({_levels(above)}) on rgb({_levels(below)})")
        text.append("\n")
    text.rstrip()
    return text


def _levels(pixel: NDArray[np.uint8]) -> str:
    return ",".join(str(int(level)) for level in pixel)

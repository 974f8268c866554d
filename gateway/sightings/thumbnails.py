"""Small pictures of a comparison: what was stored, what was asked, and where they differ. Pure, and slow."""

from enum import StrEnum
from typing import Final

from cache import guard
from gateway import heat
from gateway.box import Rgb

# Enough to recognise a picture by and to see where the heat is; the close-up shows what is there.
_SIDE_PX: Final = 400
_SERVED_SIDE_PX: Final = 240
_QUALITY: Final = 72  # some 12 KB each


class Part(StrEnum):
    STORED = "stored"
    ASKED = "asked"
    HEAT = "heat"
    CLOSE = "close"  # the place of the largest difference, stored beside asked


Drawn = dict[Part, bytes]  # JPEG files


def draw(evidence: bytes, asked: guard.View) -> Drawn:
    """The comparison as the guard saw it, on one grid where it found one. ValueError if `evidence` is none."""
    stored = guard.decode(evidence)
    told = guard.explain(stored, asked)
    if told.stored is None or told.asked is None or told.heat is None:
        return {Part.STORED: _small(stored.rgb), Part.ASKED: _small(asked.rgb)}
    drawn = {
        Part.STORED: _small(told.stored),
        Part.ASKED: _small(told.asked),
        Part.HEAT: _small(heat.overlay(told.asked, told.heat)),
    }
    if float(told.heat.max()) > 0:
        drawn[Part.CLOSE] = _small(heat.close_up(told.stored, told.asked, heat.hottest(told.heat)))
    return drawn


def served(evidence: bytes) -> bytes:
    """A stored picture, as a JPEG file. ValueError if `evidence` is none."""
    return heat.small(guard.decode(evidence).rgb, _SERVED_SIDE_PX, _QUALITY)


def _small(rgb: Rgb) -> bytes:
    return heat.small(rgb, _SIDE_PX, _QUALITY)

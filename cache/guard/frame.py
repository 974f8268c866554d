"""Two placed pictures on one pixel grid: fine placement, the rules that placements must obey, and the cut.

The grid is that of the picture that shows fewer pixels of the common part, because what the other shows beyond it
cannot be compared anyway.
"""

import math
from dataclasses import dataclass

import numpy as np

from cache.guard.blocks import Steps, coarseness
from cache.guard.laying import Grid, Laid, lay_on
from cache.guard.pixels import Plane, Rgb, as_bytes, as_plane, shrink, smooth
from cache.guard.placement import WHOLE, Box, Placement
from cache.guard.reencoding import Page
from cache.guard.register import Anchors, correlation, refine, turn_px
from cache.guard.scene import FINE_SIDE, PLACING_SIDE, Scene
from cache.verdict import Doubt

_CUT_BELOW = 0.85  # a common part smaller than this share of a side is cut out first, for its resolution
_CUT_MARGIN = 0.03

_OVERLAP_MIN = 0.3  # of a side: below this the pictures share a corner, not a picture
_FIT_MIN = 0.85
_STRETCH_LOG_MAX = 0.01  # one axis against the other; resizing to whole pixels gives 0.004
_STRETCH_PX = 0.6  # ... and in thin pictures what cannot be told more exactly
# Pixels at 384. Copies: 0.002 at the median, 0.05 at the 99th percentile. The next frame of a burst, turned by
# 1.5 degrees: 0.36 and more.
_TURN_MAX_PX = 0.25

# An asked picture that is larger by up to this is looked at as it is, the stored one enlarged: whatever else it
# shows is then a difference.
ENLARGED_MAX = 1.6
_ENLARGED_MIN = 1.15  # by less it does not count
_FRAME_MIN_PX = 20  # a smaller common part shows nothing


@dataclass(frozen=True, slots=True)
class Frame:
    """The common part of both pictures on one grid."""

    stored: Rgb
    asked: Rgb
    steps: Steps | None  # of the JPEG file whose own pixels make the grid
    origin: tuple[int, int]  # row and column of its first whole block in the frame
    enlarged: float  # by how much the stored picture was, to lie on it
    page: Page | None = None  # where the asked picture's own pixels make the grid, and are those of a JPEG file

    @property
    def is_enlarged(self) -> bool:
        return self.enlarged > _ENLARGED_MIN


@dataclass(frozen=True, slots=True)
class Common:
    """Which part of each picture is the common one, and how many pixels each has of it."""

    placement: Placement
    seen: Box  # in the stored picture
    place: Box  # in the asked one

    @classmethod
    def of(cls, placement: Placement) -> "Common":
        seen = placement.overlap()
        return cls(placement, seen, placement.image_of(seen))

    def is_small(self) -> bool:
        parts = (self.seen.width, self.seen.height, self.place.width, self.place.height)
        return min(parts) < _OVERLAP_MIN


def place_finely(stored: Scene, asked: Scene, rough: Placement) -> Common | Doubt:
    """`rough` to a fraction of a pixel, or GEOMETRY where no scale and shift lays one picture on the other."""
    common = Common.of(rough)
    if common.is_small():
        return Doubt.GEOMETRY
    mine, other = _cut(stored, common.seen), _cut(asked, common.place)
    side_px = min(stored.stretched(PLACING_SIDE), _longest_px(stored, mine), _longest_px(asked, other))
    first, second = _placing_plane(stored, mine, side_px), _placing_plane(asked, other, side_px)
    anchors = Anchors(first)
    placed = refine(anchors, second, rough.between(mine, other), 4)
    if placed is None or correlation(first, second, placed) < _FIT_MIN:
        return Doubt.GEOMETRY
    turn_max_px = _TURN_MAX_PX * max(first.shape) / min(stored.stretched(FINE_SIDE), max(first.shape))
    if turn_px(anchors, second, placed) > turn_max_px:
        return Doubt.GEOMETRY
    placement = placed.beyond(mine, other)
    common = Common.of(placement)
    stretch_max = max(_STRETCH_LOG_MAX, _STRETCH_PX / min(*stored.gray.shape, *asked.gray.shape))
    if common.is_small() or _stretch_log(stored, asked, placement) > stretch_max:
        return Doubt.GEOMETRY
    return common


def lay_out(stored: Scene, asked: Scene, common: Common, side_max: int) -> Frame | Doubt:
    """Both pictures on the grid of the asked one, at most `side_max` long; RESOLUTION where that is too small."""
    first, second, placement, seen = asked, stored, common.placement.inverse(), common.place
    turned = _pixels(asked.view.rgb, common.place) > ENLARGED_MAX * _pixels(stored.view.rgb, common.seen)
    if turned:
        first, second, placement, seen = stored, asked, common.placement, common.seen
    excess = max(1.0, _pixels(first.view.rgb, seen) / side_max)
    grid = Grid.of(first, max(1, round(max(first.view.rgb.shape[:2]) / excess)), is_asked=not turned)
    laid = lay_on(grid, second, placement)
    if min(laid.pixels.shape[:2]) < _FRAME_MIN_PX:
        return Doubt.RESOLUTION
    one, two = np.ascontiguousarray(grid.base[laid.rows, laid.columns]), np.ascontiguousarray(laid.pixels)
    steps = _steps(grid, first, second, laid)
    origin = -laid.rows.start % 8, -laid.columns.start % 8
    if turned:
        return Frame(one, two, steps, origin, 1.0)
    page = grid.page(laid.rows, laid.columns)
    return Frame(two, one, steps, origin, _enlarged(stored, common, grid.base.shape[1]), page)


def _enlarged(stored: Scene, common: Common, width: int) -> float:
    """Pixels of the frame, the asked picture's, over pixels of the picture that was stored."""
    return common.place.width * width / max(1.0, stored.size_px(common.seen)[0])


def _steps(grid: Grid, first: Scene, second: Scene, laid: Laid) -> Steps | None:
    """Of the coarser of the two files whose own pixels make the grid."""
    theirs = [first.view.steps] if grid.is_own else []
    if laid.is_still and grid.base.shape[:2] == (second.view.height, second.view.width):
        theirs.append(second.view.steps)
    return max(theirs, key=coarseness, default=None)


def _cut(scene: Scene, part: Box) -> Box:
    """What to place finely: all of the picture, or the part and a margin where the part is small."""
    if min(part.width, part.height) >= _CUT_BELOW:
        return WHOLE
    wide, high = _CUT_MARGIN * part.width, _CUT_MARGIN * part.height
    around = Box(part.left - wide, part.top - high, part.right + wide, part.bottom + high)
    return around.on_grid(scene.gray.shape[1], scene.gray.shape[0])


def _placing_plane(scene: Scene, part: Box, side_px: int) -> Plane:
    if part == WHOLE:
        return scene.placing_plane(side_px)
    rows, columns = part.pixels(scene.gray.shape[1], scene.gray.shape[0])
    return smooth(as_plane(shrink(as_bytes(scene.gray[rows, columns]), side_px)), 0.8)


def _longest_px(scene: Scene, part: Box) -> int:
    return round(_pixels(scene.view.rgb, part))


def _stretch_log(stored: Scene, asked: Scene, placement: Placement) -> float:
    across = placement.scale_x * asked.view.width / stored.view.width
    down = placement.scale_y * asked.view.height / stored.view.height
    return abs(math.log(across / down))


def _pixels(rgb: Rgb, part: Box) -> float:
    """Longest side of a part, pixels of the view."""
    return float(max(part.width * rgb.shape[1], part.height * rgb.shape[0]))

"""A view's grey levels at every size the guard works at, each made when first wanted."""

import math
from functools import cached_property

from cache.guard.pixels import Gray, Plane, as_plane, gray, shrink, smooth
from cache.guard.placement import WHOLE, Box, Placement
from cache.guard.text import is_document
from cache.guard.trim import content_box
from cache.guard.view import View
from cache.guard.writing import Writing, writing_in

# Longest sides, pixels; each step only mends the pixel or two that the last one left.
COARSE_SIDE, MIDDLE_SIDE, FINE_SIDE, PLACING_SIDE = 96, 192, 384, 768

# A very wide or very high picture shows nothing on a plane thinner than this, pixels; its planes are longer therefore.
_THICKNESS_MIN_PX = 16
_ASPECT_PLAIN, _STRETCH_MAX = 4, 4
# A picture smaller than this share of a plane is only a blur on it next to a larger one.
_FULLNESS_MIN = 0.7


class Scene:
    def __init__(self, view: View) -> None:
        self.view = view

    @cached_property
    def gray(self) -> Gray:
        return gray(self.view.rgb)

    @cached_property
    def planes(self) -> dict[int, Plane]:
        fine = self._small
        middle = shrink(fine, self.stretched(MIDDLE_SIDE))
        coarse = shrink(middle, self.stretched(COARSE_SIDE))
        levels = {COARSE_SIDE: coarse, MIDDLE_SIDE: middle, FINE_SIDE: fine}
        return {side: smooth(as_plane(image), 0.8) for side, image in levels.items()}

    def stretched(self, side_px: int) -> int:
        """How long a plane of this picture is that is called `side_px` long."""
        height, width = self.gray.shape
        aspect = max(height, width) / min(height, width)
        return int(side_px * min(_STRETCH_MAX, max(1.0, aspect / _ASPECT_PLAIN)))

    def placing_plane(self, side_px: int) -> Plane:
        return smooth(as_plane(shrink(self._large, side_px)), 0.8)

    @cached_property
    def is_document(self) -> bool:
        return is_document(self.gray)

    @cached_property
    def writing(self) -> Writing | None:
        return writing_in(self.gray)

    @cached_property
    def _large(self) -> Gray:
        return shrink(self.gray, self.stretched(PLACING_SIDE))

    @cached_property
    def _small(self) -> Gray:
        return shrink(self._large, self.stretched(FINE_SIDE))  # half of a half: the one shrinking that is nearly free

    @cached_property
    def content(self) -> Box:
        """The whole without its flat borders."""
        return content_box(self._small)

    def size_px(self, box: Box = WHOLE) -> tuple[float, float]:
        """Width and height of a part, in pixels of the picture that the view was made of."""
        return box.width * self.view.width, box.height * self.view.height

    def aspect(self, box: Box = WHOLE) -> float:
        """Logarithm of width over height of a part."""
        width, height = self.size_px(box)
        return math.log(width / height)

    def plane_for(self, placement: Placement, width: int) -> Plane:
        """The smallest plane that shows, placed so, what a first plane `width` pixels wide shows."""
        for side in (COARSE_SIDE, MIDDLE_SIDE):
            plane = self.planes[side]
            if placement.scale_x * plane.shape[1] / width >= 0.95:
                return plane
        return self.planes[FINE_SIDE]


def common_sides(first: Scene, second: Scene) -> list[int]:
    """At which planes the two can be laid on each other, coarse to fine: where both still show something."""
    sides = [
        side
        for side in (COARSE_SIDE, MIDDLE_SIDE, FINE_SIDE)
        if min(*first.planes[side].shape, *second.planes[side].shape) >= _THICKNESS_MIN_PX
    ]

    def full(scene: Scene, side: int) -> bool:
        return bool(scene.stretched(side) * _FULLNESS_MIN <= max(scene.gray.shape))

    return [side for side in sides if full(first, side) and full(second, side)] or sides[:1]

"""A rectangle of pixels in a picture. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # (h, w, 3)


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels: left and top inside, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def grown(self, px: int) -> "Box":
        return Box(self.left - px, self.top - px, self.right + px, self.bottom + px)

    def moved(self, right: int, down: int) -> "Box":
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def inside(self, rgb: Rgb) -> bool:
        height, width = rgb.shape[:2]
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image[self.top : self.bottom, self.left : self.right]

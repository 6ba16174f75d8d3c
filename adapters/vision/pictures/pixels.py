"""What a decoded photograph is; pictures as arrays, in the form that every native library here takes; their size."""

import math

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""Shape [height, width, 3], contiguous: red, green, blue."""


@attrs.frozen
class Picture:
    """An upright picture.

    ``width`` and ``height`` are those of the original, in pixels; ``detail`` holds its pixels, shrunk where the
    original is much larger than any use of it. ``scale`` is the number of original pixels per pixel of ``detail``.
    """

    width: int
    height: int
    detail: Image.Image = attrs.field(repr=False)

    @property
    def scale(self) -> float:
        """Original pixels per pixel of ``detail``."""
        return max(self.width, self.height) / max(self.detail.size)


def pixels_of(picture: Image.Image) -> Pixels:
    """Return an RGB picture's pixels."""
    return np.ascontiguousarray(picture)


def extent(size: tuple[int, int]) -> int:
    """Return a picture's longer side; where that is more than twice the other, that of 2:1 with as many pixels.

    So a long picture is not shrunk until nothing on it can be recognised. It is at least a quarter of the longer side.
    """
    width, height = size
    longer = max(size)
    return max(-(-longer // 4), min(longer, math.isqrt(2 * width * height)))


def resized(picture: Image.Image, wanted: int, *, at_most: float) -> Image.Image:
    """Return the picture at a size whose extent is about as wanted, but enlarged ``at_most`` so many times."""
    factor = min(at_most, wanted / extent(picture.size))
    if factor == 1:
        return picture
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)

"""Pictures as arrays, in the form that every native library here takes."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""Shape [height, width, 3], contiguous: red, green, blue."""


def pixels_of(picture: Image.Image) -> Pixels:
    """Return an RGB picture's pixels."""
    return np.ascontiguousarray(picture)


def resized(picture: Image.Image, longer_side: int, *, at_most: float) -> Image.Image:
    """Return the picture at a size whose longer side is as asked, but enlarged ``at_most`` so many times."""
    factor = min(at_most, longer_side / max(picture.size))
    if factor == 1:
        return picture
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)

"""What every part of the corpus is made of."""

import random
from collections.abc import Callable
from typing import Final

import attrs
import numpy as np
from PIL import Image

from domain.errors import ImageTooLargeError, JobRejectedError, UnreadableImageError
from tests.pictures import encoded

FORMATS: Final = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF", "MPO")
READ: Final = None
TOO_LARGE: Final = ImageTooLargeError
UNREADABLE: Final = UnreadableImageError


@attrs.frozen
class Case:
    """One file, and the error that reading it must raise; none where it must be read."""

    name: str
    make: Callable[[], bytes] = attrs.field(repr=False)
    error: type[JobRejectedError] | None


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Return a picture in which no two corners are alike."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.dstack([across, down, 255 - across]).astype(np.uint8))


def sample(form: str) -> bytes:
    """Return a small picture in that format."""
    if form == "MPO":
        return encoded(picture(), form, save_all=True, append_images=[picture()])
    return encoded(picture(), form)


def noise(size: int) -> bytes:
    """Return that many bytes without any meaning, always the same."""
    return random.Random(size).randbytes(size)

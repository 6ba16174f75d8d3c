"""Sharpness: how much detail a face has."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from adapters.vision.pictures.pixels import pixels_of
from adapters.vision.pictures.sharpness import sharpness

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (150, 150, 3), np.uint8))


def test_the_more_blurred_the_less_sharp() -> None:
    """Each step of blur takes some away."""
    blurred = [sharpness(pixels_of(NOISE.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[-1] > 0


def test_without_detail_there_is_none() -> None:
    """A plane, whatever its colour or its slope."""
    slope = np.repeat(np.arange(150, dtype=np.uint8)[:, np.newaxis], 150, axis=1)
    assert sharpness(np.repeat(slope[:, :, np.newaxis], 3, axis=2)) == pytest.approx(0, abs=1e-4)


def test_it_grows_with_contrast() -> None:
    """Half the contrast is half as sharp."""
    pixels = pixels_of(NOISE)
    assert sharpness(pixels // 2) == pytest.approx(sharpness(pixels) / 2, rel=0.01)


def test_only_the_face_counts() -> None:
    """What lies at the chip's edge, hair or background, changes nothing."""
    pixels = pixels_of(NOISE.filter(ImageFilter.GaussianBlur(3))).copy()
    before = sharpness(pixels)
    pixels[:30] = pixels[-30:] = pixels_of(NOISE)[:30]
    assert sharpness(pixels) == before

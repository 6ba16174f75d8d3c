"""Alignment by landmarks that the detector has found."""

import cmath
from typing import Final

import numpy as np
import pytest
from PIL import Image

from adapters.vision.detection.detectors import Detection
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH, Landmark, Points
from adapters.vision.pictures.pixels import Pixels
from adapters.vision.recognition.alignment import DetectedPointsAligner, Template

SIDE: Final = 112
TEMPLATE: Final = Template(
    SIDE, dict(zip(EYES_NOSE_MOUTH, (0.34 + 0.46j, 0.66 + 0.46j, 0.5 + 0.64j, 0.37 + 0.82j, 0.63 + 0.82j), strict=True))
)


def drawn(side: int, landmarks: Points, radius: float) -> Image.Image:
    """Return a black picture with a soft white dot at each landmark, counted from the picture's corner."""
    y, x = np.mgrid[:side, :side] + 0.5
    light = sum(np.exp(-((x - at.real) ** 2 + (y - at.imag) ** 2) / (2 * radius**2)) for at in landmarks.values())
    return Image.fromarray((255 * light).astype(np.uint8)).convert("RGB")


def dots(chip: Pixels) -> list[complex]:
    """Return where the dots of a chip lie near the template's places: their centres of gravity."""
    found = []
    for place in TEMPLATE.places.values():
        left, top = round(place.real) - 8, round(place.imag) - 8
        window = chip[top : top + 17, left : left + 17, 0].astype(float)
        y, x = np.mgrid[top : top + 17, left : left + 17]
        found.append(complex((window * x).sum(), (window * y).sum()) / window.sum())
    return found


@pytest.mark.parametrize("degrees", [0, 30, -100, 180])
@pytest.mark.parametrize("scale", [0.7, 1.0, 2.0, 5.3])
def test_landmarks_come_where_they_belong(degrees: float, scale: float) -> None:
    """Whatever turn, size and place a face has, its landmarks are in their places, to a quarter of a pixel."""
    turn = cmath.rect(scale, np.deg2rad(degrees))
    centre = 0.5 + 0.5j
    landmarks = {name: 620 + 590j + turn * (point - centre) * SIDE for name, point in TEMPLATE.points.items()}
    picture = drawn(1200, landmarks, radius=1.5 * scale)
    chip = DetectedPointsAligner(TEMPLATE).chip(picture, Detection(500, 500, 200, 1.0, landmarks))
    assert chip.shape == (SIDE, SIDE, 3)
    assert np.abs(np.array(dots(chip)) - np.array(list(TEMPLATE.places.values()))).max() < 0.25


def test_beyond_the_picture_the_chip_is_black() -> None:
    """A face at the edge leaves the part of its chip black that the picture does not show, and no more."""
    landmarks = {name: point * SIDE - SIDE / 2 + 0.5 + 0.5j for name, point in TEMPLATE.points.items()}
    white = Image.new("RGB", (300, 300), "white")
    chip = DetectedPointsAligner(TEMPLATE).chip(white, Detection(0, 0, 60, 1.0, landmarks))
    seen = (chip[..., 0] > 0).mean(axis=0)
    assert seen[: SIDE // 2 - 1].max() == 0
    assert chip[:, SIDE // 2 + 1 :].max() == 255
    assert seen[SIDE // 2 + 1 :].min() == 1


@pytest.mark.parametrize("offset", [complex(-5000, 0), complex(0, 5000)])
def test_a_chip_beside_the_picture_is_black(offset: complex) -> None:
    """Landmarks that lie nowhere on the picture harm nobody."""
    landmarks = {name: point * SIDE + offset for name, point in TEMPLATE.points.items()}
    white = Image.new("RGB", (300, 200), "white")
    chip = DetectedPointsAligner(TEMPLATE).chip(white, Detection(0, 0, 60, 1.0, landmarks))
    assert (chip.shape, chip.max()) == ((SIDE, SIDE, 3), 0)


def test_landmarks_on_one_spot_give_a_chip_all_the_same() -> None:
    """What has no size is that spot's colour everywhere."""
    landmarks = dict.fromkeys(EYES_NOSE_MOUTH, 20 + 20j)
    grey = Image.new("RGB", (40, 40), "gray")
    chip = DetectedPointsAligner(TEMPLATE).chip(grey, Detection(10, 10, 20, 1.0, landmarks))
    assert np.unique(chip).tolist() == [128]


def test_a_face_keeps_its_landmarks_when_it_is_scaled() -> None:
    """Square and landmarks stay together."""
    face = Detection(10, 20, 30, 0.9, {Landmark.NOSE: 25 + 35j})
    assert face.scaled(2) == Detection(20, 40, 60, 0.9, {Landmark.NOSE: 50 + 70j})

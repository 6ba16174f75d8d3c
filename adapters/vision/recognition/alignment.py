"""Alignment: from a detected face to its chip, the aligned crop that the recogniser learnt from (dlib's word).

A recogniser is sensitive to where exactly a face lies in its chip. The chip is cut out, to fractions of a pixel, by
the similarity (turn, scale, shift) that brings the face's landmarks as near as can be to their places in it.

dlib's landmark predictor, a cascade of trees, may answer a little noise in the pixels with a jump. So it is asked about
several squares near the detected one, and the mean of its answers counts. A photograph that was encoded again after it
was turned keeps its embedding four times as well as with one answer in whole pixels.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import attrs
import dlib
import numpy as np
from PIL import Image

from adapters.vision.detection.detectors import Detection
from adapters.vision.detection.landmarks import CORNERS_AND_NOSE_BASE, Landmark, PointArray, Points, in_common
from adapters.vision.pictures.pixels import Pixels, pixels_of
from adapters.vision.weights.provided import RECOGNISER_SIDE

_MEAN_FACE: Final = np.array([0.8596 + 0.2135j, 0.6461 + 0.2290j, 0.1206 + 0.2137j, 0.3341 + 0.2291j, 0.4901 + 0.6278j])
"""The corners of the eyes and the base of the nose on a square of side 1; x + iy."""
_PADDING: Final = 0.25
"""How much of the surroundings the chip shows on each side, in sides of that square."""
_OFFSETS: Final = (0, 0.03 + 0.03j, 0.03 - 0.03j, -0.03 + 0.03j, -0.03 - 0.03j)
"""Where the squares lie that the predictor is asked about, in sides of the detected one."""
_SHIFTS: Final = (0, *(0.08 * complex(math.cos(turn), math.sin(turn)) for turn in np.arange(8) * math.pi / 4))
"""Where the squares lie that tell a face from a pattern."""
_MARGIN: Final = 0.6
"""How much of the surroundings is kept when a face is cut out, in sides of its square."""
_LANDMARK_SIDE: Final = 120
"""A face is shrunk by a whole factor, its square staying at or above this many pixels (more for larger chips)."""
_SUPERSAMPLING: Final = 2
_LEAST_STEP: Final = 1.2
"""A face with landmarks of its own is shrunk by a whole factor, a chip's pixel staying at or above so many of it."""
_HALF_PIXEL: Final = 0.5 + 0.5j


@attrs.frozen
class Template:
    """Where landmarks belong on a recogniser's chip: ``points`` in shares of its ``side``, which is in pixels.

    A pixel's centre has whole coordinates: share s is the centre of pixel s * side.
    """

    side: int
    points: Points

    @property
    def places(self) -> Points:
        """The points in pixels of the chip."""
        return {name: point * self.side for name, point in self.points.items()}


DLIB_TEMPLATE: Final = Template(
    RECOGNISER_SIDE,
    dict(
        zip(
            CORNERS_AND_NOSE_BASE,
            map(complex, (_MEAN_FACE + complex(_PADDING, _PADDING)) / (1 + 2 * _PADDING)),
            strict=True,
        )
    ),
)
"""Where dlib's recogniser expects the corners of the eyes and the base of the nose."""


class Aligner(Protocol):
    """Cuts a face out so that a recogniser knows it."""

    def chip(self, picture: Image.Image, face: Detection) -> Pixels:
        """Return the face upright and centred: uint8 [side, side, 3], RGB; black where the picture has ended."""


class FivePointAligner:
    """Looks for the corners of the eyes and the base of the nose in the square that a detector found."""

    def __init__(self, predictor: Path, template: Template = DLIB_TEMPLATE) -> None:
        self._predictor = dlib.shape_predictor(str(predictor))
        self._template = template
        self._least_side = _LANDMARK_SIDE * max(1, template.side / RECOGNISER_SIDE)

    def chip(self, picture: Image.Image, face: Detection) -> Pixels:
        """Return the chip, as the port says."""
        surroundings, square = self._surroundings(picture, face)
        expected, found = in_common(self._template.places, self._landmarks(pixels_of(surroundings), square))
        return _warped(surroundings, expected, found, self._template.side)

    def scatter(self, picture: Image.Image, face: Detection) -> float:
        """Return how far the landmarks move, on average, when the square is moved by a twelfth of its side."""
        surroundings, square = self._surroundings(picture, face)
        answers = self._answers(pixels_of(surroundings), square, _SHIFTS)
        return float(np.abs(answers - answers.mean(axis=0)).mean() / square.side)

    def _surroundings(self, picture: Image.Image, face: Detection) -> tuple[Image.Image, Detection]:
        """Return what is around the face, shrunk where the face is large, and the face on it."""
        margin = _MARGIN * face.side
        left, top = max(0, int(face.left - margin)), max(0, int(face.top - margin))
        right = min(picture.width, int(face.left + face.side + margin) + 1)
        bottom = min(picture.height, int(face.top + face.side + margin) + 1)
        factor = max(1, int(face.side // self._least_side))
        surroundings = picture.crop((left, top, right, bottom)).reduce(factor)
        return surroundings, Detection(face.left - left, face.top - top, face.side, face.score).scaled(1 / factor)

    def _landmarks(self, pixels: Pixels, face: Detection) -> dict[Landmark, complex]:
        mean = self._answers(pixels, face, _OFFSETS).mean(axis=0)
        return dict(zip(CORNERS_AND_NOSE_BASE, map(complex, mean), strict=True))

    def _answers(self, pixels: Pixels, face: Detection, offsets: Iterable[complex]) -> PointArray:
        """Return the landmarks that are found in squares beside the face's: [squares, 5]."""
        answers = []
        for offset in offsets:
            left, top = face.left + offset.real * face.side, face.top + offset.imag * face.side
            right, bottom = left + face.side, top + face.side
            square = dlib.rectangle(round(left), round(top), round(right) - 1, round(bottom) - 1)
            answers.append([complex(point.x, point.y) for point in self._predictor(pixels, square).parts()])
        return np.array(answers)


@attrs.frozen
class DetectedPointsAligner:
    """Takes the landmarks that the detector itself has found."""

    template: Template

    def chip(self, picture: Image.Image, face: Detection) -> Pixels:
        """Return the chip, as the port says."""
        seen = {name: point - _HALF_PIXEL for name, point in face.landmarks.items()}
        expected, found = in_common(self.template.places, seen)
        turn, shift = _similarity(expected, found)
        side = self.template.side
        corners = shift + turn * np.array([0, side, side * 1j, side + side * 1j])
        left, top = max(0, math.floor(corners.real.min())), max(0, math.floor(corners.imag.min()))
        right = min(picture.width, math.ceil(corners.real.max()) + 1)
        bottom = min(picture.height, math.ceil(corners.imag.max()) + 1)
        if left >= right or top >= bottom:
            return np.zeros((side, side, 3), np.uint8)
        factor = max(1, int(abs(turn) / _LEAST_STEP))
        surroundings = picture.crop((left, top, right, bottom)).reduce(factor)
        return _warped(surroundings, expected, (found + _HALF_PIXEL - complex(left, top)) / factor - _HALF_PIXEL, side)


def _similarity(expected: PointArray, found: PointArray) -> tuple[complex, complex]:
    """Return turn and shift: place z of the chip comes from place ``shift + turn * z`` of the picture."""
    centred = expected - expected.mean()
    turn = np.vdot(centred, found - found.mean()) / np.vdot(centred, centred).real
    return turn, found.mean() - turn * expected.mean()


def _warped(picture: Image.Image, expected: PointArray, found: PointArray, side: int) -> Pixels:
    """Return the chip: turned, scaled and shifted so that what was found comes as near as can be to its place."""
    turn, shift = _similarity(expected, found)
    start = shift + (1 - turn) * _HALF_PIXEL  # Pillow counts from pixels' corners
    step = turn / _SUPERSAMPLING
    coefficients = (step.real, -step.imag, start.real, step.imag, step.real, start.imag)
    enlarged = side * _SUPERSAMPLING
    chip = picture.transform((enlarged, enlarged), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return pixels_of(chip.reduce(_SUPERSAMPLING))

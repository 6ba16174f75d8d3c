"""Alignment: from a face's square to the chip that the recogniser learnt from.

The recogniser is sensitive to where exactly a face lies in its chip, and the landmark predictor, a cascade of trees,
may answer a little noise in the pixels with a jump. So it is asked about several squares near the detected one, and
the chip is cut out by the mean of its answers, to fractions of a pixel. A photograph that was encoded again after it
was turned keeps its embedding four times as well as with one answer in whole pixels.
"""

from pathlib import Path
from typing import Final

import dlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.vision.detection import Found
from adapters.vision.pixels import Pixels, pixels_of

CHIP_SIDE: Final = 150
_MEAN_FACE: Final = np.array([0.8596 + 0.2135j, 0.6461 + 0.2290j, 0.1206 + 0.2137j, 0.3341 + 0.2291j, 0.4901 + 0.6278j])
"""The corners of the left eye and of the right one, and the base of the nose, on a square of side 1; x + iy."""
_PADDING: Final = 0.25
"""How much of the surroundings the chip shows on each side, in sides of that square."""
_EXPECTED: Final = (_MEAN_FACE + complex(_PADDING, _PADDING)) / (1 + 2 * _PADDING) * CHIP_SIDE
_OFFSETS: Final = (0, 0.03 + 0.03j, 0.03 - 0.03j, -0.03 + 0.03j, -0.03 - 0.03j)
"""Where the squares lie that the predictor is asked about, in sides of the detected one."""
_MARGIN: Final = 0.6
"""How much of the surroundings is kept when a face is cut out, in sides of its square."""
_LANDMARK_SIDE: Final = 120
"""A face is shrunk by a whole factor, its square staying at or above this many pixels."""
_SUPERSAMPLING: Final = 2
_HALF_PIXEL: Final = 0.5 + 0.5j

_Points = npt.NDArray[np.complex128]
"""Shape [5]: x + iy, where a pixel's centre has whole coordinates."""


class FivePointAligner:
    """Puts the corners of the eyes and the base of the nose where dlib's recogniser expects them."""

    def __init__(self, predictor: Path) -> None:
        self._predictor = dlib.shape_predictor(str(predictor))

    def chip(self, picture: Image.Image, face: Found) -> Pixels:
        """Return the face, upright and centred: [150, 150, 3]; black where the picture has ended."""
        margin = _MARGIN * face.side
        left, top = max(0, int(face.left - margin)), max(0, int(face.top - margin))
        right = min(picture.width, int(face.left + face.side + margin) + 1)
        bottom = min(picture.height, int(face.top + face.side + margin) + 1)
        factor = max(1, int(face.side // _LANDMARK_SIDE))
        surroundings = picture.crop((left, top, right, bottom)).reduce(factor)
        square = Found(face.left - left, face.top - top, face.side, face.score).scaled(1 / factor)
        return _warped(surroundings, self._landmarks(pixels_of(surroundings), square))

    def _landmarks(self, pixels: Pixels, face: Found) -> _Points:
        answers = []
        for offset in _OFFSETS:
            left, top = face.left + offset.real * face.side, face.top + offset.imag * face.side
            right, bottom = left + face.side, top + face.side
            square = dlib.rectangle(round(left), round(top), round(right) - 1, round(bottom) - 1)
            answers.append([complex(point.x, point.y) for point in self._predictor(pixels, square).parts()])
        mean: _Points = np.mean(answers, axis=0)
        return mean


def _warped(picture: Image.Image, landmarks: _Points) -> Pixels:
    """Return the chip: turned, scaled and shifted so that the landmarks come as near as can be to where they belong."""
    expected, found = _EXPECTED - _EXPECTED.mean(), landmarks - landmarks.mean()
    turn = np.vdot(expected, found) / np.vdot(expected, expected).real
    start = landmarks.mean() - turn * _EXPECTED.mean() + (1 - turn) * _HALF_PIXEL  # Pillow counts from pixels' corners
    step = turn / _SUPERSAMPLING
    coefficients = (step.real, -step.imag, start.real, step.imag, step.real, start.imag)
    side = CHIP_SIDE * _SUPERSAMPLING
    chip = picture.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return pixels_of(chip.reduce(_SUPERSAMPLING))

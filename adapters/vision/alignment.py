"""Alignment: from a face's square to the chip that the recogniser learnt from."""

from pathlib import Path
from typing import Final

import dlib
from PIL import Image

from adapters.vision.detection import Found
from adapters.vision.pixels import Pixels, pixels_of

CHIP_SIDE: Final = 150
_PADDING: Final = 0.25
_MARGIN: Final = 1.0
"""How much of the surroundings is kept when a large face is cut out, in sides of its square."""


class FivePointAligner:
    """Puts the corners of the eyes and the base of the nose where dlib's recogniser expects them."""

    def __init__(self, predictor: Path) -> None:
        self._predictor = dlib.shape_predictor(str(predictor))

    def chip(self, picture: Image.Image, face: Found) -> Pixels:
        """Return the face, upright and centred: [150, 150, 3].

        A face much larger than the chip is shrunk first, by averaging, so that warping does not alias.
        """
        factor = max(1, int(face.side // CHIP_SIDE))
        margin = _MARGIN * face.side
        left, top = max(0, int(face.left - margin)), max(0, int(face.top - margin))
        right = min(picture.width, int(face.left + face.side + margin) + 1)
        bottom = min(picture.height, int(face.top + face.side + margin) + 1)
        surroundings = pixels_of(picture.crop((left, top, right, bottom)).reduce(factor))
        x, y, side = (face.left - left) / factor, (face.top - top) / factor, face.side / factor
        square = dlib.rectangle(round(x), round(y), round(x + side) - 1, round(y + side) - 1)
        landmarks = self._predictor(surroundings, square)
        chip: Pixels = dlib.get_face_chip(surroundings, landmarks, CHIP_SIDE, _PADDING)
        return chip

"""dlib's HOG detector, and the pipeline that starts with it."""

from collections.abc import Sequence
from typing import Final

import dlib
from PIL import Image

from adapters.vision.assembly import AlignedFacePipeline, assemble
from adapters.vision.detection import Found
from adapters.vision.pixels import pixels_of, resized
from application.ports.face_pipeline import EmbedderInfo, ImageBudget


class HogDetector:
    """dlib's frontal face detector: histograms of oriented gradients under a linear classifier.

    It sees faces from about 80 pixels of the picture it works on, which is why small pictures are enlarged.
    """

    _WORKING_SIDE: Final = 640

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def find(self, picture: Image.Image) -> Sequence[Found]:
        """Return the faces, the most certain first."""
        working = resized(picture, self._WORKING_SIDE)
        scale = picture.width / working.width
        rectangles, scores, _ = self._detector.run(pixels_of(working), 0, 0.0)
        faces = [
            Found(box.left(), box.top(), box.width(), score).scaled(scale)
            for box, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.score)


def load(info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Load the pipeline that detects with HOG."""
    return assemble(HogDetector(), info, budget)

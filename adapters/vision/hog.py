"""dlib's HOG detector, and the pipeline that starts with it."""

from collections.abc import Sequence
from typing import Final

import attrs
import dlib
from PIL import Image

from adapters.vision.assembly import AlignedFacePipeline, assemble
from adapters.vision.detection import Found
from adapters.vision.pixels import pixels_of, resized
from application.ports.face_pipeline import EmbedderInfo, ImageBudget


@attrs.frozen
class _Look:
    """The longer side of the picture that is worked on, in pixels, and how many times it may be enlarged for it."""

    side: int
    enlargement: float


class HogDetector:
    """dlib's frontal face detector: histograms of oriented gradients under a linear classifier.

    It finds faces of at least about 75 pixels. A first look, at a small picture, is for whoever is in the foreground;
    only where it finds nobody, a second one, four times as expensive, finds faces half as large.
    """

    _LOOKS: Final = (_Look(640, 2.0), _Look(1280, 4.0))

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def find(self, picture: Image.Image) -> Sequence[Found]:
        """Return the faces, the most certain first."""
        for look in self._LOOKS:
            if faces := self._find(picture, resized(picture, look.side, at_most=look.enlargement)):
                return sorted(faces, key=lambda face: -face.score)
        return []

    def _find(self, picture: Image.Image, working: Image.Image) -> list[Found]:
        scale = picture.width / working.width
        rectangles, scores, _ = self._detector.run(pixels_of(working), 0, 0.0)
        return [
            Found(box.left(), box.top(), box.width(), score).scaled(scale)
            for box, score in zip(rectangles, scores, strict=True)
        ]


def load(info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Load the pipeline that detects with HOG."""
    return assemble(HogDetector(), info, budget)

"""dlib's HOG detector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import dlib
from PIL import Image

from adapters.vision.detection.detectors import Detection, joined
from adapters.vision.detection.second_chance import LandmarkFinder, VerifiedDetector
from adapters.vision.pictures.pixels import pixels_of, resized
from adapters.vision.weights.graph_cache import cache_folder, made_once

CERTAIN: Final = 0.0
_DOUBTFUL: Final = -0.3
_SEVERAL: Final = 2


@attrs.frozen
class _Look:
    """The extent of the picture that is worked on, in pixels, and how many times it may be enlarged for it."""

    side: int
    enlargement: float


class HogDetector:
    """dlib's frontal face detector: histograms of oriented gradients under a linear classifier.

    It finds faces of at least about 75 pixels. Whether a photograph shows one face or several must not depend on that,
    so a first look, at a small picture, is enough only where it finds several, or one so large that others of half
    its size would have been found too. Else, and where every face is wanted, a second look, four times as expensive,
    finds faces half as large.

    Its scores are distances to the classifier's border: it is sure of faces above :data:`CERTAIN`. Others are returned
    down to ``least_score``, to be confirmed by somebody else.
    """

    _FIRST: Final = _Look(640, 2.0)
    _SECOND: Final = _Look(1280, 4.0)
    _CERTAIN_SIDE: Final = 150

    def __init__(self, *, least_score: float = CERTAIN) -> None:
        self._detector = frontal_face_detector(cache_folder())
        self._least_score = least_score

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces, the most certain first."""
        first, largest = self._look(picture, self._FIRST)
        faces = [face for face in first if face.score >= CERTAIN]
        if every or (len(faces) < _SEVERAL and largest < self._CERTAIN_SIDE):
            closer, _ = self._look(picture, self._SECOND)
            faces = joined(faces, closer)
        doubtful = [face for face in first if face.score < CERTAIN]
        return sorted(joined(faces, doubtful), key=lambda face: -face.score)

    def _look(self, picture: Image.Image, look: _Look) -> tuple[list[Detection], float]:
        """Return the faces, and the largest certain one's side in pixels of the picture that was worked on."""
        working = resized(picture, look.side, at_most=look.enlargement)
        scale = picture.width / working.width
        rectangles, scores, _ = self._detector.run(pixels_of(working), 0, self._least_score)
        faces = [
            Detection(box.left(), box.top(), box.width(), score).scaled(scale)
            for box, score in zip(rectangles, scores, strict=True)
        ]
        return faces, max((face.side / scale for face in faces if face.score >= CERTAIN), default=0.0)


def frontal_face_detector(folder: Path | None) -> dlib.fhog_object_detector:
    """Return dlib's own, unpacked from the library once and then kept in ``folder``.

    The library holds it in a form that takes 0.7 s to unpack; what it is unpacked to is there in 2 ms.
    """
    detector = dlib.fhog_object_detector.__new__(dlib.fhog_object_detector)
    detector.__setstate__((made_once(f"dlib-hog-{dlib.__version__}.detector", _unpacked, folder),))
    return detector


def _unpacked() -> bytes:
    [state] = dlib.get_frontal_face_detector().__getstate__()
    content: bytes = state
    return content


def verified_hog(landmarks: LandmarkFinder) -> VerifiedDetector:
    """Return the detector with a second chance for faces that it is nearly sure of."""
    return VerifiedDetector(HogDetector(least_score=_DOUBTFUL), landmarks, CERTAIN)

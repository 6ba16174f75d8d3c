"""A second chance for faces that a detector is not sure of, or does not see at all.

Detectors miss faces that are turned, tilted or half in the dark. Where nothing else was found, such a face is better
looked at than dropped: the decision about whose it is comes later. Beside a sure one of no more than twice its size it
tells that the photograph shows several people. What must not happen is that a pattern passes for a face, so a doubtful
one has to be confirmed: asked about squares around it, the landmark predictor finds a face in the same place every
time, but something else in each of them where there is none.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import attrs
from PIL import Image

from adapters.vision.detection.detectors import Detection, Detector

STEADY: Final = 0.03
"""The most that landmarks of a face scatter, in its sides. Of faces that detectors are sure of nearly all scatter by
less than 0.01; of the patterns for which HOG's score is above -0.3, three in four by more than 0.03."""


class LandmarkFinder(Protocol):
    """Finds landmarks in a square."""

    def scatter(self, picture: Image.Image, face: Detection) -> float:
        """Return how far the landmarks move when the square does, in sides of the square."""


@attrs.frozen
class VerifiedDetector:
    """Leaves out faces with a score below ``certain``, unless their landmarks are steady.

    Those of less than half a certain one's side are left out too: of these nearly as many are patterns as faces.
    """

    detector: Detector
    landmarks: LandmarkFinder
    certain: float

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces, the most certain first."""
        faces = self.detector.find(picture, every=every)
        least = max((face.side for face in faces if face.score >= self.certain), default=0) / 2
        return [face for face in faces if face.score >= self.certain or self._is_confirmed(picture, face, least)]

    def _is_confirmed(self, picture: Image.Image, face: Detection, least_side: float) -> bool:
        return face.side >= least_side and self.landmarks.scatter(picture, face) < STEADY


@attrs.frozen
class FallbackDetector:
    """Asks a second detector where the first finds nothing.

    Their scores are not comparable, so a face that only the second one finds has the score 0.
    """

    first: Detector
    second: Detector

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces, the most certain first."""
        faces = self.first.find(picture, every=every)
        return faces or [attrs.evolve(face, score=0.0) for face in self.second.find(picture, every=every)]

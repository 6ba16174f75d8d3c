"""Detectors: where the faces are. All report the same kind of square, so that one aligner serves them all."""

from collections.abc import Sequence
from typing import Protocol

import attrs
from PIL import Image


@attrs.frozen
class Found:
    """A face's square in pixels of the picture that was given, not clipped to it.

    It spans about from the eyebrows to the chin, as dlib's own detector draws it. ``score`` grows with certainty
    and is only comparable within one detector.
    """

    left: float
    top: float
    side: float
    score: float

    def scaled(self, factor: float) -> "Found":
        """Return the same face on a picture enlarged by ``factor``."""
        return Found(self.left * factor, self.top * factor, self.side * factor, self.score)


class Detector(Protocol):
    """Finds every face on a picture."""

    def find(self, picture: Image.Image) -> Sequence[Found]:
        """Return the faces, the most certain first."""

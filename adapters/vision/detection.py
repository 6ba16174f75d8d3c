"""Detectors: where the faces are. All report the same kind of square, so that one aligner serves them all."""

import math
from collections.abc import Iterable, Sequence
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

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the square."""
        return self.left + self.side / 2, self.top + self.side / 2

    def is_same_as(self, other: "Found") -> bool:
        """Tell whether this is one face seen twice: the centres are nearer than half the larger one's side."""
        return math.dist(self.centre, other.centre) < max(self.side, other.side) / 2

    def scaled(self, factor: float) -> "Found":
        """Return the same face on a picture enlarged by ``factor``."""
        return Found(self.left * factor, self.top * factor, self.side * factor, self.score)


def distinct(faces: Iterable[Found]) -> list[Found]:
    """Return the faces, the most certain first, without those that are the same as a more certain one."""
    kept: list[Found] = []
    for face in sorted(faces, key=lambda found: -found.score):
        if not any(face.is_same_as(other) for other in kept):
            kept.append(face)
    return kept


class Detector(Protocol):
    """Finds every face on a picture."""

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Found]:
        """Return the faces, the most certain first.

        Unless ``every`` one is wanted, it is enough to tell none, one and several apart.
        """

"""Detectors: where the faces are. All report the same kind of square, so that one aligner serves them all."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import attrs
from PIL import Image

from adapters.vision.detection.landmarks import Points

LARGE: Final = 0.7
"""From which side on a face fills its picture, in shorter sides of that; networks may miss it."""


@attrs.frozen
class Detection:
    """A face's square in pixels of the picture that was given, not clipped to it.

    It spans about from the eyebrows to the chin, as dlib's own detector draws it. ``score`` grows with certainty
    and is only comparable within one detector: HOG's is a signed distance to its border, that of networks lies between
    0 and 1. ``landmarks`` are those that the detector itself has found, if any; they are counted from the picture's
    corner, as the square is.
    """

    left: float
    top: float
    side: float
    score: float
    landmarks: Points = attrs.field(factory=dict)

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the square."""
        return self.left + self.side / 2, self.top + self.side / 2

    def is_same_as(self, other: "Detection") -> bool:
        """Tell whether this is one face seen twice: the centres are nearer than half the larger one's side."""
        return math.dist(self.centre, other.centre) < max(self.side, other.side) / 2

    def room_beside(self, size: tuple[int, int]) -> float:
        """Return how wide a picture of that size is, or how high, on the side of the face where it is most so."""
        width, height = size
        return max(self.left, self.top, width - self.left - self.side, height - self.top - self.side)

    def scaled(self, factor: float) -> "Detection":
        """Return the same face on a picture enlarged by ``factor``."""
        landmarks = {name: point * factor for name, point in self.landmarks.items()}
        return Detection(self.left * factor, self.top * factor, self.side * factor, self.score, landmarks)


@attrs.frozen
class SquareFit:
    """How the square that dlib's detector would draw lies to another detector's box.

    dlib's landmark predictor learnt from squares of dlib's detector. ``right`` and ``down`` are the way from centre to
    centre in widths and heights of the box, ``size`` is the square's side in geometric means of the two; all are fitted
    on faces that both detectors find.
    """

    right: float
    down: float
    size: float

    def square(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float]:
        """Return the square's left, top and side for a box."""
        side = self.size * math.sqrt(width * height)
        centre_x, centre_y = left + width * (0.5 + self.right), top + height * (0.5 + self.down)
        return centre_x - side / 2, centre_y - side / 2, side


def distinct(faces: Iterable[Detection]) -> list[Detection]:
    """Return the faces, the most certain first, without those that are the same as a more certain one."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda found: -found.score):
        if not any(face.is_same_as(other) for other in kept):
            kept.append(face)
    return kept


def joined(faces: Iterable[Detection], others: Iterable[Detection]) -> list[Detection]:
    """Return the faces, and those of the others that are not the same as one of them."""
    known = list(faces)
    return [*known, *(other for other in others if not any(other.is_same_as(face) for face in known))]


def with_large_ones(
    faces: Sequence[Detection], size: tuple[int, int], look: Callable[[], Iterable[Detection]], *, every: bool
) -> list[Detection]:
    """Return the faces, and the large ones that are only found by another look, as from farther off.

    A face that fills the picture may be missed, and a small one beside it would pass for the only one. So the other
    look is taken where the only one leaves room for such a face, or ``every`` one is wanted.
    """
    least = LARGE * min(size)
    if not every and (len(faces) != 1 or faces[0].room_beside(size) < least):
        return list(faces)
    return joined(faces, (face for face in look() if face.side >= least))


class Detector(Protocol):
    """Finds every face on a picture."""

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces on an upright RGB picture, the most certain first.

        Unless ``every`` one is wanted, it is enough to tell none, one and several apart.
        """

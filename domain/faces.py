"""Faces: where one is on a photograph, and the embedding that stands for it."""

import math
from collections.abc import Sequence
from typing import Final, Self

import attrs

from domain.errors import EmbedderFailedError, FacematchError

SHORTEST: Final = 1e-15
LONGEST: Final = 1e15
"""How long a vector is that points somewhere in single precision, too, which its square must not leave."""


class InvalidEmbeddingError(FacematchError):
    """A vector that cannot be compared: wrong dimension, not finite, all but zero, or too long."""


class InvalidBoxError(FacematchError):
    """Four numbers that are no box on a photograph."""


@attrs.frozen
class BoundingBox:
    """A face's box in pixels of the upright photograph at its original resolution.

    ``0 <= x1 < x2 <= width`` and ``0 <= y1 < y2 <= height``; build it with :meth:`clipped`. The names of its fields are
    those that it is published, stored and printed with.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __attrs_post_init__(self) -> None:
        """Refuse what is no box: it would be written into the application's tables and published."""
        if not (0 <= self.x1 < self.x2 < math.inf and 0 <= self.y1 < self.y2 < math.inf):
            raise InvalidBoxError(f"({self.x1}, {self.y1}, {self.x2}, {self.y2}) is no box on a photograph")

    @classmethod
    def clipped(cls, x1: float, y1: float, x2: float, y2: float, *, width: int, height: int) -> Self | None:
        """Return the part of the box that lies on the photograph; None when nothing does, or it is no box."""
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            return None
        left, right = max(0.0, min(x1, x2)), min(float(width), max(x1, x2))
        top, bottom = max(0.0, min(y1, y2)), min(float(height), max(y1, y2))
        if left >= right or top >= bottom:
            return None
        return cls(left, top, right, bottom)

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def shorter_side(self) -> float:
        """The smaller of width and height, in pixels."""
        return min(self.width, self.height)


@attrs.frozen
class FaceEmbedding:
    """A face as a vector; only comparable with vectors of the same ``model``.

    ``model`` is the id of the pipeline that made it (``name@version``).
    """

    model: str
    vector: tuple[float, ...] = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what no distance is defined for."""
        if not all(map(math.isfinite, self.vector)):
            raise InvalidEmbeddingError(f"an embedding of {self.model} holds a value that is not finite")
        if not SHORTEST <= math.hypot(*self.vector) <= LONGEST:
            raise InvalidEmbeddingError(
                f"an embedding of {self.model} is all but zero, or too long: it has no direction"
            )

    @property
    def dimension(self) -> int:
        """Number of components."""
        return len(self.vector)

    def cosine_distance(self, other: Self) -> float:
        """Return ``1 - cos(self, other)``, from 0 (same direction) to 2 (opposite)."""
        if self.model != other.model:
            raise InvalidEmbeddingError(f"embeddings of {self.model} and {other.model} cannot be compared")
        if self.dimension != other.dimension:
            raise InvalidEmbeddingError(f"embeddings of {self.dimension} and {other.dimension} dimensions differ")
        dot = math.fsum(a * b for a, b in zip(self.vector, other.vector, strict=True))
        return 1.0 - dot / (math.hypot(*self.vector) * math.hypot(*other.vector))

    @classmethod
    def mean_direction(cls, embeddings: Sequence[Self]) -> Self:
        """Return the mean of the unit vectors, normalised again: one template from several photographs."""
        if not embeddings:
            raise InvalidEmbeddingError("the mean of no embeddings is not defined")
        model = embeddings[0].model
        if any(e.model != model or e.dimension != embeddings[0].dimension for e in embeddings):
            raise InvalidEmbeddingError("only embeddings of one model can be averaged")
        lengths = [math.hypot(*e.vector) for e in embeddings]
        units = [[value / size for value in e.vector] for e, size in zip(embeddings, lengths, strict=True)]
        total = [math.fsum(column) for column in zip(*units, strict=True)]
        length = math.hypot(*total)
        if length == 0:
            raise InvalidEmbeddingError("the embeddings cancel each other out: they have no mean direction")
        return cls(model, tuple(value / length for value in total))


@attrs.frozen
class DetectedFace:
    """One face that the detector found; ``embedding`` is None where none was asked for.

    ``score`` grows with the detector's certainty and ``sharpness`` with the detail of the face as the recogniser gets
    it; both are only comparable within one embedder. ``sharpness`` is None where nobody looked.
    """

    box: BoundingBox
    score: float
    embedding: FaceEmbedding | None = None
    sharpness: float | None = None

    @property
    def wanted_embedding(self) -> FaceEmbedding:
        """The embedding of a face for which one was asked.

        Raises:
            EmbedderFailedError: the pipeline has broken its promise: there is none.

        """
        if self.embedding is None:
            raise EmbedderFailedError("a face came back without the embedding that was asked for")
        return self.embedding


@attrs.frozen
class StageTiming:
    """When one stage of reading a photograph ran: nanoseconds since the epoch, and in which process."""

    name: str
    started_ns: int
    ended_ns: int
    process_id: int

    @property
    def milliseconds(self) -> float:
        """Duration in milliseconds."""
        return (self.ended_ns - self.started_ns) / 1e6


@attrs.frozen
class PhotoReading:
    """What was seen on one photograph: its upright size in pixels, its faces, and how long each stage took."""

    width: int
    height: int
    faces: tuple[DetectedFace, ...]
    stages: tuple[StageTiming, ...] = attrs.field(default=(), eq=False)

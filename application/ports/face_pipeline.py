"""The vision part as a port: decoder, detector, aligner and recogniser in one, synchronous and CPU-bound.

A third party adds a pipeline by registering a factory under the entry point group ``facematch.embedders``::

    [project.entry-points."facematch.embedders"]
    mine = "my_package:my_pipeline"

    def my_pipeline(budget: ImageBudget) -> FacePipeline: ...
    my_pipeline.info = EmbedderInfo(id="mine@1", ...)     # known without loading a model
"""

from enum import StrEnum
from typing import Final, Protocol

import attrs

from domain.calibration import Calibration
from domain.faces import PhotoReading


class Embed(StrEnum):
    """Of which faces an embedding is wanted."""

    NONE = "none"
    ONLY_FACE = "only_face"
    """Of the face on a photograph with exactly one; none on other photographs."""
    ALL = "all"

    def is_wanted(self, faces: int) -> bool:
        """Tell whether it is wanted of the faces on a photograph with so many."""
        return self is Embed.ALL or (self is Embed.ONLY_FACE and faces == 1)


_LEAST_SECONDS: Final = 15.0
_SECONDS_PER_PIXEL: Final = 15.0 / 60_000_000
"""For decoding: five times what HEIF, the costliest format, takes on a core of a server."""


@attrs.frozen
class ImageBudget:
    """What an image may cost: bytes as stored, pixels (width x height) as decoded, seconds of CPU time to decode it.

    The time is unless given enough for the costliest photograph of as many pixels, on a slow machine, too.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 60_000_000
    decoding_seconds: float = attrs.field()

    @decoding_seconds.default
    def _enough(self) -> float:
        return max(_LEAST_SECONDS, _SECONDS_PER_PIXEL * self.max_pixels)


@attrs.frozen
class Weights:
    """What a pipeline learnt from others: a file, or what is built into a library.

    ``licence`` is an SPDX expression; ``sha256`` is the file's digest in hexadecimal digits, None where there is none.
    """

    name: str
    origin: str
    licence: str
    sha256: str | None = None


@attrs.frozen
class EmbedderInfo:
    """What identifies a pipeline and belongs to its embeddings.

    ``id`` is ``name@version`` and changes whenever embeddings stop being comparable; ``dimension`` is the
    length of a vector; ``calibration`` holds its measured impostor distances; ``licence`` names the terms of
    the weights and ``description`` the parts, for people; ``weights`` says the same of each, for machines.
    Faces less sharp than ``least_sharpness`` look like each other, whosever they are; None where it was not measured.
    """

    id: str
    dimension: int
    licence: str
    description: str
    calibration: Calibration
    metric: str = "cosine"
    weights: tuple[Weights, ...] = ()
    least_sharpness: float | None = None


class FacePipeline(Protocol):
    """Finds the faces on a photograph and embeds them."""

    @property
    def info(self) -> EmbedderInfo:
        """Who made the embeddings."""

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Decode the image upright, detect every face, embed those that are wanted.

        Boxes are in pixels of the upright image at its original resolution, clipped to it.
        ``stages`` times ``decode``, ``detect`` and, where it ran, ``embed``.

        Raises:
            UnreadableImageError: not an image of an allowed format, truncated or corrupt.
            ImageTooLargeError: over the budget of pixels or bytes.

        """


class FacePipelineFactory(Protocol):
    """Makes a pipeline; called in the process that will use it, so that models are loaded there."""

    @property
    def info(self) -> EmbedderInfo:
        """Who would make the embeddings; cheap, loads nothing."""

    def __call__(self, budget: ImageBudget) -> FacePipeline:
        """Load the models."""

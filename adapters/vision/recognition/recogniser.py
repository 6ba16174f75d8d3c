"""Recognition: from a chip, the aligned crop of a face, to a vector."""

from collections.abc import Sequence
from typing import Protocol

import attrs
import numpy as np

from adapters.vision.networks.network import Floats, Network
from adapters.vision.networks.preparation import Preparation
from adapters.vision.pictures.pixels import Pixels

Vectors = Floats
"""Shape [faces, dimension], each row of length 1."""


class Recogniser(Protocol):
    """Turns chips into vectors; the nearer two vectors, the likelier one person."""

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip: float32 [chips, dimension], of uint8 [side, side, 3], RGB, each."""


@attrs.frozen
class NetworkRecogniser:
    """A network from one prepared chip to one vector.

    Chips go through it one by one: on one thread a batch is no faster, and its memory grows with the faces.
    """

    network: Network
    preparation: Preparation = attrs.field(factory=Preparation)

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip."""
        return _unit(np.stack([self.network.run(self.preparation(chip))[0].reshape(-1) for chip in chips]))


@attrs.frozen
class FlipAveraged:
    """Looks at each face twice, the second time flipped left to right, and takes the mean direction."""

    recogniser: Recogniser

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip."""
        flipped = [np.ascontiguousarray(chip[:, ::-1]) for chip in chips]
        return _unit(self.recogniser.embed(chips) + self.recogniser.embed(flipped))


def _unit(vectors: Floats) -> Vectors:
    exact = vectors.astype(np.float64)  # in half precision the length of a long one would be infinite
    unit: Vectors = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)
    return unit

"""Recognition: from a chip to a vector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import dlib
import numpy as np
import numpy.typing as npt

from adapters.vision.pixels import Pixels

Vectors = npt.NDArray[np.float32]
"""Shape [faces, dimension], each row of length 1."""


class Recogniser(Protocol):
    """Turns chips into vectors; the nearer two vectors, the likelier one person."""

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip of shape [150, 150, 3]."""


class DlibRecogniser:
    """dlib's ResNet with 29 convolutions, 128 dimensions, run by dlib."""

    def __init__(self, weights: Path) -> None:
        self._network = dlib.face_recognition_model_v1(str(weights))

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip."""
        raw = np.asarray([self._network.compute_face_descriptor(chip) for chip in chips])
        unit: Vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
        return unit

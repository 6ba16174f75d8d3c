"""Recognition: from a chip to a vector."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from adapters.vision.pixels import Pixels

Vectors = npt.NDArray[np.float32]
"""Shape [faces, dimension], each row of length 1."""


class Recogniser(Protocol):
    """Turns chips into vectors; the nearer two vectors, the likelier one person."""

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip of shape [150, 150, 3]."""


class OnnxRecogniser:
    """A network from uint8 [1, 150, 150, 3] to float32 [1, dimension], run by ONNX Runtime in the calling thread.

    Chips go through it one by one: on one thread a batch is no faster, and its memory grows with the faces.
    """

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        [self._chips] = (tensor.name for tensor in self._session.get_inputs())

    def embed(self, chips: Sequence[Pixels]) -> Vectors:
        """Return one unit vector per chip."""
        raw = np.concatenate([self._session.run(None, {self._chips: chip[np.newaxis]})[0] for chip in chips])
        unit: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        return unit

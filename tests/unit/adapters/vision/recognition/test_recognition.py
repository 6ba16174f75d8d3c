"""Recognisers around a network that is known by heart."""

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from adapters.vision.networks.network import Floats, Tensor, TensorInfo
from adapters.vision.recognition.recogniser import FlipAveraged, NetworkRecogniser

LEFT_LIT = np.zeros((2, 2, 3), np.uint8)
LEFT_LIT[:, 0] = 200
EVENLY_LIT = np.full((2, 2, 3), 200, np.uint8)


@attrs.define
class Sides:
    """Gives the brightness of the left and of the right side, in an output of one more axis than needed."""

    kind: npt.DTypeLike = np.float32
    factor: float = 1.0

    inputs: tuple[TensorInfo, ...] = (TensorInfo("chips", (None, 2, 2, 3), "uint8"),)
    outputs: tuple[TensorInfo, ...] = (TensorInfo("vectors", (None, 2, 1), "float32"),)

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Look."""
        return [(tensor.mean(axis=(1, 3)) * self.factor).astype(self.kind)[..., np.newaxis]]


@pytest.mark.parametrize(
    ("kind", "factor"), [(np.float32, 1), (np.float16, 10), (np.float32, 1e25), (np.float32, 1e-30), (np.int8, 0.5)]
)
def test_vectors_are_flat_and_of_length_one(kind: npt.DTypeLike, factor: float) -> None:
    """Whatever shape, length and precision the network gives."""
    assert NetworkRecogniser(Sides(kind, factor)).embed([LEFT_LIT, EVENLY_LIT]) == pytest.approx(
        np.array([[1, 0], [0.5**0.5, 0.5**0.5]])
    )


def test_a_face_and_its_reflection_are_one_in_the_mirror() -> None:
    """The mean direction of both does not change when the face is turned round."""
    mirrored = FlipAveraged(NetworkRecogniser(Sides()))
    once, reflected = mirrored.embed([LEFT_LIT]), mirrored.embed([np.ascontiguousarray(LEFT_LIT[:, ::-1])])
    assert once == pytest.approx(np.array([[0.5**0.5, 0.5**0.5]]))
    assert reflected == pytest.approx(once)

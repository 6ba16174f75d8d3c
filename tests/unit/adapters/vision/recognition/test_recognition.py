"""Recognisers around a network that is known by heart."""

from collections.abc import Sequence

import numpy as np
import pytest

from adapters.vision.recognition.networks import Floats, Tensor, TensorInfo
from adapters.vision.recognition.recogniser import Mirrored, NetworkRecogniser

LEFT_LIT = np.zeros((2, 2, 3), np.uint8)
LEFT_LIT[:, 0] = 200
EVENLY_LIT = np.full((2, 2, 3), 200, np.uint8)


class Sides:
    """Gives the brightness of the left and of the right side, in an output of one more axis than needed."""

    inputs: tuple[TensorInfo, ...] = (TensorInfo("chips", (None, 2, 2, 3), "uint8"),)
    outputs: tuple[TensorInfo, ...] = (TensorInfo("vectors", (None, 2, 1), "float32"),)

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Look."""
        return [tensor.mean(axis=(1, 3), dtype=np.float32)[..., np.newaxis]]


def test_vectors_are_flat_and_of_length_one() -> None:
    """Whatever shape and length the network gives."""
    assert NetworkRecogniser(Sides()).embed([LEFT_LIT, EVENLY_LIT]) == pytest.approx(
        np.array([[1, 0], [0.5**0.5, 0.5**0.5]])
    )


def test_a_face_and_its_reflection_are_one_in_the_mirror() -> None:
    """The mean direction of both does not change when the face is turned round."""
    mirrored = Mirrored(NetworkRecogniser(Sides()))
    once, reflected = mirrored.embed([LEFT_LIT]), mirrored.embed([np.ascontiguousarray(LEFT_LIT[:, ::-1])])
    assert once == pytest.approx(np.array([[0.5**0.5, 0.5**0.5]]))
    assert reflected == pytest.approx(once)

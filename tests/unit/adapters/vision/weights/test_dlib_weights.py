"""dlib's file of weights is read without dlib, and nothing else is taken for it."""

from pathlib import Path

import pytest

from adapters.vision.weights.dlib_weights import DlibWeights, UnexpectedWeightsError
from adapters.vision.weights.provided import RECOGNISER, located
from adapters.vision.weights.resnet import build

WEIGHTS = located(RECOGNISER.name)


def test_the_first_layer_has_its_shape() -> None:
    """32 filters of 7 x 7 over three colours, and a bias for each."""
    kernels, biases = DlibWeights(WEIGHTS).convolution(32, 3, 7)
    assert (kernels.shape, biases.shape) == ((32, 3, 7, 7), (32,))


def test_another_layer_than_expected_is_refused() -> None:
    """The message says what was found and what should be."""
    with pytest.raises(UnexpectedWeightsError, match=r"shape .* where 3168 values should be"):
        DlibWeights(WEIGHTS).convolution(32, 2, 7)


@pytest.mark.parametrize("name", ["shape_predictor_5_face_landmarks.dat", "mmod_human_face_detector.dat"])
def test_another_model_is_refused(name: str) -> None:
    """A file that dlib wrote for something else does not become a network."""
    with pytest.raises(UnexpectedWeightsError):
        build(located(name))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    """However much is missing, one error says so."""
    content = WEIGHTS.read_bytes()
    file = tmp_path / "weights.dat"
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnexpectedWeightsError):
        build(file)

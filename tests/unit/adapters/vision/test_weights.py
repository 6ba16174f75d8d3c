"""The weights that the embedders name."""

import hashlib

import pytest

from adapters.vision.pipelines import dlib_pipeline, mediapipe_pipeline
from adapters.vision.weights import BLAZEFACE, dlib_weights
from application.ports.face_pipeline import Weights

_FILES = [
    one
    for one in dict.fromkeys((*dlib_pipeline.info.weights, *mediapipe_pipeline.info.weights))
    if one.sha256 is not None
]


@pytest.mark.parametrize("weights", _FILES, ids=lambda weights: weights.name)
def test_the_file_that_is_installed_is_the_one_that_is_named(weights: Weights) -> None:
    """Its SHA-256 is that which version, list of embedders and bill of materials tell."""
    path = BLAZEFACE if weights.name == BLAZEFACE.name else dlib_weights(weights.name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.sha256

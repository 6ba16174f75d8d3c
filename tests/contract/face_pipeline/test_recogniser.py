"""The network that ONNX Runtime runs is dlib's own."""

import dlib
import numpy as np
import pytest

from adapters.vision.detection.hog import HogDetector
from adapters.vision.networks.onnx_network import OnnxNetwork
from adapters.vision.pictures.pixels import Pixels
from adapters.vision.recognition.alignment import FivePointAligner
from adapters.vision.recognition.recogniser import NetworkRecogniser, Recogniser
from adapters.vision.weights.graph_cache import dlib_resnet
from adapters.vision.weights.provided import FIVE_POINTS, RECOGNISER, installed
from infra.photographs import Photographs
from tests.pictures import opened


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """Return the recogniser of both pipelines."""
    return NetworkRecogniser(OnnxNetwork(dlib_resnet(RECOGNISER, None)))


@pytest.fixture(scope="module")
def chips(photographs: Photographs) -> list[Pixels]:
    """Return real faces, aligned; and, as chips of none, black, white and noise."""
    detector, aligner = HogDetector(), FivePointAligner(installed(FIVE_POINTS))
    pictures = [opened(photographs.path(name)) for name in ("obama", "obama2", "obama3", "biden", "astronaut")]
    faces = [aligner.chip(picture, detector.find(picture, every=False)[0]) for picture in pictures]
    noise = np.random.default_rng(1).integers(0, 256, (150, 150, 3)).astype(np.uint8)
    return [*faces, np.zeros_like(noise), np.full_like(noise, 255), noise]


def test_it_gives_what_dlib_gives(recogniser: Recogniser, chips: list[Pixels]) -> None:
    """On every chip the cosine distance to dlib's own descriptor is that of rounding."""
    network = dlib.face_recognition_model_v1(str(installed(RECOGNISER)))
    theirs = np.array([network.compute_face_descriptor(chip) for chip in chips])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    distances = 1 - (theirs * recogniser.embed(chips)).sum(axis=1)
    assert np.abs(distances).max() < 1e-5


def test_several_chips_at_once_give_what_each_gives(recogniser: Recogniser, chips: list[Pixels]) -> None:
    """No chip has a part in another one's vector."""
    single = np.concatenate([recogniser.embed([chip]) for chip in chips])
    assert np.array_equal(recogniser.embed(chips), single)


def test_vectors_have_length_one(recogniser: Recogniser, chips: list[Pixels]) -> None:
    """Also those of chips that show nobody."""
    vectors = recogniser.embed(chips)
    assert vectors.shape == (len(chips), 128)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)

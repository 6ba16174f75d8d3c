"""Where the files of weights lie."""

import importlib.util
from pathlib import Path
from typing import Final

from domain.errors import FacematchError

BLAZEFACE: Final = Path(__file__).parent / "models" / "face_detection_full_range_sparse.tflite"
FIVE_POINTS: Final = "shape_predictor_5_face_landmarks.dat"
_PACKAGE: Final = "face_recognition_models"


def dlib_weights(name: str) -> Path:
    """Return a file of the package of dlib's weights, without importing it (its code needs what Python dropped).

    Raises:
        FacematchError: the package, or the file in it, is missing.

    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise FacematchError(f"{name} was not found: install the package face-recognition-models, which holds it")

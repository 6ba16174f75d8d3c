"""Landmarks: named points of a face, and which of them two descriptions of faces have in common.

``left`` and ``right`` are those of the picture, as who looks at it sees them, not those of the person shown.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class Landmark(StrEnum):
    """A point that a detector or a predictor finds, or that a recogniser's chip has a place for."""

    RIGHT_EYE_OUTER = "right_eye_outer"
    RIGHT_EYE_INNER = "right_eye_inner"
    LEFT_EYE_OUTER = "left_eye_outer"
    LEFT_EYE_INNER = "left_eye_inner"
    NOSE_BASE = "nose_base"
    LEFT_EYE = "left_eye"
    RIGHT_EYE = "right_eye"
    NOSE = "nose"
    LEFT_MOUTH = "left_mouth"
    RIGHT_MOUTH = "right_mouth"
    MOUTH = "mouth"


Points = Mapping[Landmark, complex]
"""Where landmarks lie: x + iy."""
PointArray = npt.NDArray[np.complex128]
"""Shape [points]: x + iy."""

CORNERS_OF_EYES: Final = (
    Landmark.RIGHT_EYE_OUTER,
    Landmark.RIGHT_EYE_INNER,
    Landmark.LEFT_EYE_OUTER,
    Landmark.LEFT_EYE_INNER,
)
CORNERS_AND_NOSE_BASE: Final = (*CORNERS_OF_EYES, Landmark.NOSE_BASE)
"""What dlib's five-point predictor finds, in its order."""
EYES_NOSE_MOUTH: Final = (
    Landmark.LEFT_EYE,
    Landmark.RIGHT_EYE,
    Landmark.NOSE,
    Landmark.LEFT_MOUTH,
    Landmark.RIGHT_MOUTH,
)
"""What recognisers of the ArcFace family are aligned by."""

_MIDDLES: Final = {
    Landmark.RIGHT_EYE: CORNERS_OF_EYES[:2],
    Landmark.LEFT_EYE: CORNERS_OF_EYES[2:],
    Landmark.MOUTH: (Landmark.LEFT_MOUTH, Landmark.RIGHT_MOUTH),
}
_FEATURES: Final = (
    (CORNERS_OF_EYES, (Landmark.LEFT_EYE, Landmark.RIGHT_EYE)),
    ((Landmark.NOSE,), (Landmark.NOSE_BASE,)),
    ((Landmark.LEFT_MOUTH, Landmark.RIGHT_MOUTH), (Landmark.MOUTH,)),
)
"""How eyes, nose and mouth can be given, the finer way first."""
_NOSE_BASE_SHARE: Final = 2 / 3
"""How far down from the eyes to the mouth the base of a nose lies.

The mean face that dlib's predictor finds, laid with its eyes on those of ArcFace's, has it at 0.67.
"""


def in_common(expected: Points, seen: Points) -> tuple[PointArray, PointArray]:
    """Return the landmarks that both have, each as finely as both can give them, in one order.

    The middle of an eye is taken for the mean of its corners, and the middle of the mouth likewise; the base of the
    nose is put where it lies between eyes and mouth on the mean face.
    """
    expected, seen = _completed(expected), _completed(seen)
    names = [
        name
        for feature in _FEATURES
        for name in next((way for way in feature if set(way) <= expected.keys() & seen.keys()), ())
    ]
    return np.array([expected[name] for name in names]), np.array([seen[name] for name in names])


def _completed(points: Points) -> dict[Landmark, complex]:
    middles = {
        middle: sum(points[part] for part in parts) / len(parts)
        for middle, parts in _MIDDLES.items()
        if set(parts) <= points.keys()
    }
    known = {**middles, **points}
    if Landmark.NOSE_BASE not in known and {Landmark.LEFT_EYE, Landmark.RIGHT_EYE, Landmark.MOUTH} <= known.keys():
        eyes = (known[Landmark.LEFT_EYE] + known[Landmark.RIGHT_EYE]) / 2
        known[Landmark.NOSE_BASE] = eyes + _NOSE_BASE_SHARE * (known[Landmark.MOUTH] - eyes)
    return known

"""The file of a calibration: JSON that names the embedder, what was measured, and the distances.

::

    {
      "format": "facematch-calibration/1",
      "embedder": "dlib@2",
      "curves": [
        {
          "photographs": 1,
          "people": 1637,
          "comparisons": 1339066,
          "points": [{"false_match_rate": 1e-05, "distance": 0.0468}, …],
          "searches": 1637,
          "cohort": [{"fpir": 0.01, "factor": 0.24}, …]
        }
      ]
    }
"""

import json
import math
from pathlib import Path
from typing import Any, Final

import attrs
from cattrs import transform_error

from adapters.strict import is_number, json_document, problem, strict_converter
from adapters.whole_file import EVERYBODYS, write_whole
from domain.errors import FacematchError
from domain.evaluation.calibrating import MeasuredCalibration, MeasuredCurve

FORMAT: Final = "facematch-calibration/1"
_FARTHEST: Final = 2.0
_NONE: Final = "this file is no calibration made by `facematch calibrate`"


class CalibrationFileError(FacematchError):
    """The file is no calibration, or cannot be read or written."""


def _is_rate(_point: object, _attribute: object, rate: float) -> None:
    if not 0 < rate <= 1:
        raise ValueError("expected a rate above 0, and 1 at most")


def _is_positive(_curve: object, _attribute: object, count: int) -> None:
    if not count:
        raise ValueError("expected a whole number of 1 or more")


@attrs.frozen
class _Point:
    false_match_rate: float = attrs.field(validator=_is_rate)
    distance: float = attrs.field()

    @distance.validator
    def _is_distance(self, _attribute: object, distance: float) -> None:
        if not 0 <= distance <= _FARTHEST:
            raise ValueError("expected a cosine distance from 0 to 2")


@attrs.frozen
class _CohortPoint:
    fpir: float = attrs.field(validator=_is_rate)
    factor: float = attrs.field()

    @factor.validator
    def _is_factor(self, _attribute: object, factor: float) -> None:
        if not 0 <= factor < math.inf:
            raise ValueError("expected a factor of 0 or more")


@attrs.frozen
class _Curve:
    photographs: int = attrs.field(validator=_is_positive)
    people: int
    comparisons: int
    points: list[_Point]
    searches: int = 0
    cohort: list[_CohortPoint] = attrs.field(factory=list)


def _is_known(_file: object, _attribute: object, name: str) -> None:
    if name != FORMAT:
        raise ValueError(f"expected {FORMAT!r}: is it a calibration, and of this version of facematch?")


@attrs.frozen
class _File:
    format: str = attrs.field(validator=_is_known)
    embedder: str
    curves: list[_Curve]


def read_calibration(path: Path) -> MeasuredCalibration:
    """Return what the file holds.

    Raises:
        CalibrationFileError: it cannot be read or is no calibration; the message says everything that is wrong.

    """
    try:
        document = json_document(path.read_bytes())
    except OSError as error:
        raise CalibrationFileError(f"cannot read this file ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise CalibrationFileError(f"{_NONE}: it is not JSON") from error
    if not isinstance(document, dict):
        raise CalibrationFileError(f"{_NONE}: it is not a JSON object")
    try:
        parsed = _CONVERTER.structure(document, _File)
    except Exception as error:
        problems = transform_error(error, format_exception=problem)
        raise CalibrationFileError(f"{_NONE}: {'; '.join(problems)}") from error
    curves = (
        MeasuredCurve(
            curve.photographs,
            curve.people,
            curve.comparisons,
            tuple((point.false_match_rate, point.distance) for point in curve.points),
            curve.searches,
            tuple((point.fpir, point.factor) for point in curve.cohort),
        )
        for curve in parsed.curves
    )
    try:
        return MeasuredCalibration(parsed.embedder, tuple(curves))
    except ValueError as error:
        raise CalibrationFileError(f"{_NONE}: {error}") from error


def curve_document(curve: MeasuredCurve, rate_key: str) -> dict[str, Any]:
    """Return a curve as a JSON object; ``rate_key`` is what the false match rate of its points is called."""
    return {
        "photographs": curve.photographs,
        "people": curve.people,
        "comparisons": curve.comparisons,
        "points": [{rate_key: rate, "distance": distance} for rate, distance in curve.points],
        "searches": curve.searches,
        "cohort": [{"fpir": rate, "factor": factor} for rate, factor in curve.cohort],
    }


def write_calibration(path: Path, calibration: MeasuredCalibration) -> None:
    """Write the file as a whole, in the place of an older one, or not at all.

    Raises:
        CalibrationFileError: it cannot be written.

    """
    document = {
        "format": FORMAT,
        "embedder": calibration.embedder,
        "curves": [curve_document(curve, "false_match_rate") for curve in calibration.curves],
    }
    try:
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode(), mode=EVERYBODYS)
    except OSError as error:
        raise CalibrationFileError(f"cannot write {path}: {error.strerror}") from error


def _number(value: Any, _: type) -> float:  # noqa: ANN401 - JSON holds anything
    if is_number(value):
        return float(value)
    raise ValueError("expected a number")


_CONVERTER: Final = strict_converter({float: _number})

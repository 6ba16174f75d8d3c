"""The values of a description: what each may be, structured strictly; nothing is coerced."""

import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final, NewType

import cattrs
from cattrs.errors import ForbiddenExtraKeysError

from adapters.strict import Hook, expected, is_number, strict_converter
from adapters.vision.detection.landmarks import CORNERS_AND_NOSE_BASE, EYES_NOSE_MOUTH, Landmark, Points
from adapters.vision.networks.preparation import CHANNELS, Colours, Kind, Layout
from adapters.vision.registry import METRIC
from domain.calibration import Calibration

Text = NewType("Text", str)
Id = NewType("Id", str)
Metric = NewType("Metric", str)
Sha256 = NewType("Sha256", str)
Side = NewType("Side", int)
Dimension = NewType("Dimension", int)
Score = NewType("Score", float)
Mean = NewType("Mean", tuple[float, float, float])
Scale = NewType("Scale", tuple[float, float, float])
_SIDES: Final = range(16, 1025)
_DIMENSIONS: Final = range(2, 16_001)
_LARGEST_DISTANCE: Final = 2.0


class DetectorKind(StrEnum):
    """Who finds the faces."""

    HOG = "hog"
    BLAZEFACE = "blazeface"
    YUNET = "yunet"


def problem(error: BaseException, _type: type | None) -> str:
    """Return what an error of structuring says to people."""
    match error:
        case ForbiddenExtraKeysError():
            return f"unknown: {', '.join(sorted(error.extra_fields))}"
        case KeyError():
            return "missing"
        case ValueError():
            return str(error)
    return "expected a table"


def _choice(value: object, kind: type[Enum]) -> Enum:
    names = [member.value for member in kind]
    if value in names:
        return kind(value)
    raise ValueError(f"expected {' or '.join(names)}")


def _channels(value: object, _type: object) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value] * CHANNELS
    if len(values) == CHANNELS and all(map(is_number, values)):
        return tuple(map(float, values))
    raise ValueError("expected a number, or three: one for each colour in the order of `colours`")


def _scale(value: object, kind: object) -> tuple[float, ...]:
    scale = _channels(value, kind)
    if 0 in scale:
        raise ValueError("expected numbers that are not 0")
    return scale


def _points(value: object, _type: object) -> Points:
    if not isinstance(value, Mapping):
        raise TypeError
    templates = (EYES_NOSE_MOUTH, CORNERS_AND_NOSE_BASE)
    if not any(value.keys() == set(template) for template in templates):
        raise ValueError(f"expected {', or '.join(', '.join(sorted(template)) for template in templates)}")
    points = {Landmark(name): _point(name, at) for name, at in value.items()}
    for left, right in ((name, Landmark(name.replace("left", "right"))) for name in points if name.startswith("left")):
        if points[left].real >= points[right].real:
            raise ValueError(f"{left} is not left of {right}: they are named as who looks at the picture sees them")
    return points


def _point(name: str, at: object) -> complex:
    if isinstance(at, list) and [is_number(share, 0, 1) for share in at] == [True, True]:
        return complex(*at)
    raise ValueError(f"{name} is not two numbers from 0 to 1: shares of the side, from the left and from the top")


def _calibration(value: object, _type: object) -> Calibration:
    if not isinstance(value, Mapping):
        raise TypeError
    match dict(value):
        case {"distance": distance, **others} if not others and is_number(distance, 0, _LARGEST_DISTANCE):
            return Calibration(((1.0, float(distance)),))
        case {"false_match_rates": [_, *_] as pairs, **others} if not others and all(map(_is_rate, pairs)):
            return Calibration(tuple((float(rate), float(distance)) for rate, distance in pairs))
    raise ValueError("expected either `distance`, 0 to 2, or `false_match_rates`, a list of [rate, distance]")


def _is_rate(pair: object) -> bool:
    match pair:
        case [rate, distance]:
            return is_number(rate, 0, 1) and is_number(distance, 0, _LARGEST_DISTANCE)
    return False


def description_converter() -> cattrs.Converter:
    """Return what structures descriptions."""
    hooks: dict[Any, Hook] = {
        Text: expected("a text", lambda value: isinstance(value, str) and value.strip()),
        Id: expected("name@version", lambda value: isinstance(value, str) and re.fullmatch(r"[\w.-]+@[\w.-]+", value)),
        Metric: expected(METRIC, lambda value: value == METRIC),
        Sha256: expected(
            "a SHA-256: 64 hexadecimal digits, lower case",
            lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value),
        ),
        Side: expected("a whole number from 16 to 1024", lambda value: type(value) is int and value in _SIDES),
        Dimension: expected(
            "a whole number from 2 to 16000", lambda value: type(value) is int and value in _DIMENSIONS
        ),
        Score: expected("a number from 0 to 1", lambda value: is_number(value, 0, 1)),
        bool: expected("true or false", lambda value: isinstance(value, bool)),
        Mean: _channels,
        Scale: _scale,
        Calibration: _calibration,
    }
    converter = strict_converter(hooks, forbid_extra_keys=True)
    for choice in (Colours, Layout, Kind, DetectorKind):
        converter.register_structure_hook(choice, _choice)
    converter.register_structure_hook_func(lambda kind: kind == Points, _points)
    return converter

"""The values of a description: what each may be, structured strictly; nothing is coerced."""

import re
import sys
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any, Final, NewType

import cattrs
from cattrs.errors import ForbiddenExtraKeysError

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


def _expected(words: str, test: Callable[[Any], object]) -> Callable[[Any, object], Any]:
    """Return a hook that lets values pass, as they are, which the test lets pass."""

    def hook(value: Any, _type: object) -> Any:  # noqa: ANN401 - TOML holds anything
        if test(value):
            return value
        raise ValueError(f"expected {words}")

    return hook


def _is_number(value: object, least: float = -sys.float_info.max, most: float = sys.float_info.max) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _choice(value: object, kind: type[Enum]) -> Enum:
    names = [member.value for member in kind]
    if value in names:
        return kind(value)
    raise ValueError(f"expected {' or '.join(names)}")


def _channels(value: object, _type: object) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value] * CHANNELS
    if len(values) == CHANNELS and all(map(_is_number, values)):
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
    if isinstance(at, list) and [_is_number(share, 0, 1) for share in at] == [True, True]:
        return complex(*at)
    raise ValueError(f"{name} is not two numbers from 0 to 1: shares of the side, from the left and from the top")


def _calibration(value: object, _type: object) -> Calibration:
    if not isinstance(value, Mapping):
        raise TypeError
    match dict(value):
        case {"distance": distance, **others} if not others and _is_number(distance, 0, _LARGEST_DISTANCE):
            return Calibration(((1.0, float(distance)),))
        case {"false_match_rates": [_, *_] as pairs, **others} if not others and all(map(_is_rate, pairs)):
            return Calibration(tuple((float(rate), float(distance)) for rate, distance in pairs))
    raise ValueError("expected either `distance`, 0 to 2, or `false_match_rates`, a list of [rate, distance]")


def _is_rate(pair: object) -> bool:
    match pair:
        case [rate, distance]:
            return _is_number(rate, 0, 1) and _is_number(distance, 0, _LARGEST_DISTANCE)
    return False


def strict_converter() -> cattrs.Converter:
    """Return what structures descriptions."""
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    hooks: dict[Any, Callable[[Any, Any], Any]] = {
        Text: _expected("a text", lambda value: isinstance(value, str) and value.strip()),
        Id: _expected("name@version", lambda value: isinstance(value, str) and re.fullmatch(r"[\w.-]+@[\w.-]+", value)),
        Metric: _expected(METRIC, lambda value: value == METRIC),
        Sha256: _expected(
            "a SHA-256: 64 hexadecimal digits, lower case",
            lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value),
        ),
        Side: _expected("a whole number from 16 to 1024", lambda value: type(value) is int and value in _SIDES),
        Dimension: _expected(
            "a whole number from 2 to 16000", lambda value: type(value) is int and value in _DIMENSIONS
        ),
        Score: _expected("a number from 0 to 1", lambda value: _is_number(value, 0, 1)),
        bool: _expected("true or false", lambda value: isinstance(value, bool)),
        Mean: _channels,
        Scale: _scale,
        Calibration: _calibration,
    }
    for kind, hook in hooks.items():
        converter.register_structure_hook(kind, hook)
    for choice in (Colours, Layout, Kind, DetectorKind):
        converter.register_structure_hook(choice, _choice)
    converter.register_structure_hook_func(lambda kind: kind == Points, _points)
    return converter

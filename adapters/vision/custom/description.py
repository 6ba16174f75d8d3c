"""The description of somebody's own recogniser: a TOML file, structured strictly, every problem told at once."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import attrs
from cattrs import transform_error

from adapters.vision.custom.described_values import (
    DetectorKind,
    Dimension,
    Id,
    Mean,
    Metric,
    Scale,
    Score,
    Sha256,
    Side,
    Text,
    description_converter,
    problem,
)
from adapters.vision.detection.landmarks import Points
from adapters.vision.networks.preparation import Colours, Kind, Layout, Preparation
from adapters.vision.registry import METRIC
from adapters.vision.weights.model_file import ONNX, ModelFile
from domain.calibration import Calibration

_CONVERTER: Final = description_converter()
_NO_MEAN: Final = Mean((0.0, 0.0, 0.0))
_NO_SCALE: Final = Scale((1.0, 1.0, 1.0))
_COSINE: Final = Metric(METRIC)
T = TypeVar("T")


@attrs.frozen
class ModelSection:
    """Where the recogniser's model lies; the path is relative to the description."""

    file: Text
    sha256: Sha256
    weights_sha256: Sha256 | None = None


@attrs.frozen
class InputSection:
    """What the recogniser takes: a square chip of ``size`` pixels, prepared as said."""

    size: Side
    colours: Colours
    layout: Layout
    type: Kind = Kind.FLOAT32
    mean: Mean = _NO_MEAN
    scale: Scale = _NO_SCALE

    @property
    def preparation(self) -> Preparation:
        """What is done to a chip."""
        return Preparation(self.colours, self.layout, self.type, self.mean, self.scale)


@attrs.frozen
class DetectorSection:
    """Who finds the faces; ``yunet`` is a file of the user's too."""

    kind: DetectorKind = DetectorKind.HOG
    file: Text | None = None
    sha256: Sha256 | None = None
    least_score: Score | None = None


@attrs.frozen
class Description:
    """All that is said of a recogniser."""

    id: Id
    licence: Text
    dimension: Dimension
    model: ModelSection
    input: InputSection
    landmarks: Points
    thresholds: Calibration
    detector: DetectorSection = DetectorSection()
    description: Text | None = None
    metric: Metric = _COSINE
    mirror: bool = False


@attrs.frozen
class UnderstoodDescription:
    """What a file says that can be understood, and what is wrong with it: ``description`` is whole or None.

    The models can be tried out even where something else is wrong.
    """

    problems: tuple[str, ...]
    description: Description | None = None
    model: ModelFile | None = None
    input: InputSection | None = None
    dimension: int | None = None
    detector: ModelFile | None = None


def read(path: Path) -> UnderstoodDescription:
    """Return what the file says; all files that it names are checked, no model is loaded."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return UnderstoodDescription((f"cannot be read ({error.strerror})",))
    except RecursionError:
        return UnderstoodDescription(("is nested too deeply",))
    except ValueError as error:
        return UnderstoodDescription((f"is not TOML in UTF-8: {error}",))
    problems: list[str] = []
    description = _structured(document, Description, problems)
    model = _structured(document.get("model"), ModelSection)
    sight = _structured(document.get("input"), InputSection)
    detector = _structured(document.get("detector", {}), DetectorSection)
    recogniser_file = detector_file = None
    if model:
        recogniser_file = ModelFile(path.parent / model.file, model.sha256, model.weights_sha256)
        problems += [f"model.{told}" for told in recogniser_file.problems()]
    if detector and detector.kind is DetectorKind.YUNET and detector.file and detector.sha256:
        detector_file = ModelFile(path.parent / detector.file, detector.sha256, formats=(ONNX,))
        problems += [f"detector.{told}" for told in detector_file.problems()]
    problems += _contradictions(sight, detector)
    return UnderstoodDescription(
        tuple(problems),
        None if problems else description,
        recogniser_file,
        sight,
        _structured(document.get("dimension"), Dimension),
        detector_file,
    )


def _contradictions(sight: InputSection | None, detector: DetectorSection | None) -> list[str]:
    problems = []
    if sight and sight.type is Kind.UINT8 and sight.preparation != Preparation(sight.colours, sight.layout, Kind.UINT8):
        problems.append("input.mean, input.scale: a network that takes uint8 does this itself")
    if detector and detector.kind is DetectorKind.YUNET:
        missing = [name for name, value in (("file", detector.file), ("sha256", detector.sha256)) if value is None]
        problems += [f"detector.{name}: missing; {detector.kind} is a file of your own" for name in missing]
    elif detector:
        given = attrs.asdict(detector, filter=lambda field, value: field.name != "kind" and value is not None)
        problems += [f"detector.{name}: {detector.kind} comes with facematch, as it is" for name in given]
    return problems


def _structured(document: object, kind: Callable[..., T], problems: list[str] | None = None) -> T | None:
    try:
        return _CONVERTER.structure(document, kind)  # type: ignore[arg-type]  # of NewTypes mypy sees functions
    except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever its hooks raise
        if problems is not None:
            problems += [_placed(told) for told in transform_error(error, format_exception=problem)]
        return None


def _placed(told: str) -> str:
    """Return ``place: problem`` for what cattrs calls ``problem @ $.place``."""
    words, _, place = told.rpartition(" @ $")
    return f"{place.removeprefix('.')}: {words}" if place else words

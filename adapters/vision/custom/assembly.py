"""Opening the models of a description, trying them out, and putting them together. Importing this loads libraries."""

from collections.abc import Iterator

import attrs
import numpy as np

from adapters.vision.assembly import AlignedFacePipeline, blazeface_detector, dlib_aligner
from adapters.vision.custom.described_values import DetectorKind
from adapters.vision.custom.description import Description, DetectorSection, InputSection, UnderstoodDescription
from adapters.vision.detection import yunet
from adapters.vision.detection.detectors import Detector
from adapters.vision.detection.hog import verified_hog
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH
from adapters.vision.networks.network import Network
from adapters.vision.networks.onnx_network import OnnxNetwork
from adapters.vision.networks.preparation import CHANNELS
from adapters.vision.recognition.alignment import Aligner, DetectedPointsAligner, FivePointAligner, Template
from adapters.vision.recognition.recogniser import FlipAveraged, NetworkRecogniser
from adapters.vision.weights.external_data import refers_elsewhere
from adapters.vision.weights.model_file import OPENVINO, ModelFile, ModelFileError
from adapters.vision.weights.provided import FIVE_POINTS, installed
from application.ports.face_pipeline import EmbedderInfo, ImageBudget


@attrs.frozen
class Opened:
    """The models that could be opened, and what is wrong with them."""

    problems: tuple[str, ...]
    recogniser: Network | None = None
    detector: Network | None = None


def opened(parts: UnderstoodDescription) -> Opened:
    """Open the models, as far as they are known, and compare them with what is said of them."""
    recogniser, problems = _opened("model", parts.model)
    if recogniser and parts.input:
        problems += _misfits(recogniser, parts.input, parts.dimension)
    detector, more = _opened("detector", parts.detector)
    problems += more
    if detector and (missing := yunet.missing(detector)):
        problems.append(f"detector.file: is no YuNet: {missing}")
    return Opened(tuple(problems), recogniser, detector)


def assembled(said: Description, models: Opened, info: EmbedderInfo, budget: ImageBudget) -> AlignedFacePipeline:
    """Return the pipeline; ``models`` are those of the description, without problems."""
    if models.recogniser is None:
        raise AssertionError("a model without problems was not opened")
    recogniser = NetworkRecogniser(models.recogniser, said.input.preparation)
    return AlignedFacePipeline(
        info,
        budget,
        _detector(said.detector, models.detector),
        _aligner(said),
        FlipAveraged(recogniser) if said.mirror else recogniser,
    )


def _opened(place: str, file: ModelFile | None) -> tuple[Network | None, list[str]]:
    """Return one model, or what is wrong with it; neither where it is not known."""
    if file is None:
        return None, []
    problems = list(file.problems())
    if not problems:
        try:
            return _network(file), []
        except ModelFileError as error:
            problems = [str(error)]
    return None, [f"{place}.{problem}" for problem in problems]


def _network(file: ModelFile) -> Network:
    contents = file.read()
    try:
        return _of_openvino(*contents) if file.path.suffix == OPENVINO else _in_onnx(*contents)
    except ModelFileError:
        raise
    except Exception as error:  # the runtimes raise what they like at files they do not understand
        raise ModelFileError(f"file: cannot be loaded: {_first_line(error)}") from error


def _in_onnx(graph: bytes) -> Network:
    if refers_elsewhere(graph):
        raise ModelFileError("file: keeps weights in other files, which its checksum does not cover")
    return OnnxNetwork(graph)


def _of_openvino(graph: bytes, weights: bytes) -> Network:
    try:
        from adapters.vision.networks.openvino_network import OpenVinoNetwork  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        advice = "OpenVINO's models need an extra: from the clone, `pip install '.[openvino]'`"
        raise ModelFileError(f"file: {advice} ({error})") from error
    return OpenVinoNetwork(graph, weights)


def _misfits(network: Network, said: InputSection, dimension: int | None) -> Iterator[str]:
    """Yield what the model has otherwise than it is said to have; it is tried out where that is possible."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        yield (
            f"model.file: has {len(network.inputs)} inputs and {len(network.outputs)} outputs; "
            "one of each is expected, a face and its vector"
        )
        return
    [taken] = network.inputs
    wanted = said.preparation.shape(said.size)
    fits = len(taken.shape) == len(wanted) and all(
        has in {None, given} for has, given in zip(taken.shape, wanted, strict=True)
    )
    if not fits or taken.kind != said.type:
        given = f"[{', '.join(map(str, wanted))}] of {said.type}"
        yield f"input: the model takes {taken}, but `size`, `layout` and `type` say {given}"
        return
    grey = np.full((said.size, said.size, CHANNELS), 128, np.uint8)
    try:
        [vector] = network.run(said.preparation(grey))
    except Exception as error:  # noqa: BLE001 - the runtimes raise what they like
        yield f"model.file: cannot be run: {_first_line(error)}"
        return
    if dimension is not None and vector.size != dimension:
        yield f"dimension: the model's vectors have {vector.size}, not {dimension}"
    if not np.isfinite(vector).all() or not vector.any():
        yield "model.file: makes of a grey chip a vector that is zero or not finite"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _detector(said: DetectorSection, network: Network | None) -> Detector:
    match said.kind:
        case DetectorKind.HOG:
            return verified_hog(dlib_aligner())
        case DetectorKind.BLAZEFACE:
            return blazeface_detector()
        case DetectorKind.YUNET:
            if network is None:
                raise AssertionError("a model without problems was not opened")
            return yunet.YuNetDetector(network, yunet.LIKELY if said.least_score is None else said.least_score)


def _aligner(said: Description) -> Aligner:
    """Return who finds the landmarks: dlib, where its own are asked for or the detector finds none."""
    template = Template(said.input.size, said.landmarks)
    if said.detector.kind is DetectorKind.HOG or said.landmarks.keys() != set(EYES_NOSE_MOUTH):
        return FivePointAligner(installed(FIVE_POINTS), template)
    return DetectedPointsAligner(template)

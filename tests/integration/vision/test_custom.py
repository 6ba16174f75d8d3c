"""The pipeline ``custom``: recognisers of one's own, run by the real runtimes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import dlib
import numpy as np
import onnx
import pytest
from onnx import external_data_helper
from PIL import Image

from adapters.vision import registry
from adapters.vision.assembly import AlignedFacePipeline
from adapters.vision.detection.blazeface import BlazeFaceDetector
from adapters.vision.detection.detectors import Detector
from adapters.vision.detection.hog import HogDetector
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH, Landmark
from adapters.vision.networks.network import Tensor
from adapters.vision.networks.onnx_network import OnnxNetwork
from adapters.vision.pictures.pixels import Pixels, pixels_of
from adapters.vision.recognition.alignment import Aligner, DetectedPointsAligner, FivePointAligner, Template
from adapters.vision.recognition.recogniser import FlipAveraged
from adapters.vision.weights.provided import BLAZEFACE, FIVE_POINTS, installed
from application.ports.face_pipeline import Embed, ImageBudget
from domain.errors import EmbedderUnavailableError
from domain.faces import DetectedFace
from infra.photographs import Photographs
from tests.own_models import (
    ARCFACE,
    TINY_DIMENSION,
    TINY_SIDE,
    Document,
    resnet_document,
    sha256,
    tiny_document,
    tiny_model,
    written,
)
from tests.pictures import opened
from tests.readers import BUDGET, pool_of

Configure = Callable[[Document], Path]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Return a function that writes a description and names it to the pipeline."""

    def write(document: Document) -> Path:
        path = written(document, tmp_path)
        monkeypatch.setenv("FACEMATCH_EMBEDDER_FILE", str(path))
        return path

    return write


def refusal(document: Document, configure: Configure) -> list[str]:
    """Return what is told of a wrong description, line by line, when its models are asked for."""
    path = configure(document)
    with pytest.raises(registry.MisdescribedEmbedderError) as raised:
        registry.load("custom")(ImageBudget())
    first, *lines = str(raised.value).splitlines()
    assert first == f"embedder 'custom' is described wrongly by {path}:"
    return [line.strip() for line in lines]


def test_the_network_of_dlib_as_a_file_gives_what_the_pipeline_of_dlib_gives(
    configure: Configure, tmp_path: Path, photographs: Photographs
) -> None:
    """Boxes and scores are the same, embeddings but for rounding; the id is the file's."""
    document = resnet_document(tmp_path)
    reference = registry.load("dlib")(ImageBudget())
    assert isinstance(reference, AlignedFacePipeline)
    document["mirror"] = isinstance(reference.recogniser, FlipAveraged)
    configure(document)
    own = registry.load("custom")(ImageBudget())
    for name in ("obama", "biden", "astronaut"):
        content = photographs.path(name).read_bytes()
        [theirs], [ours] = (pipeline.read(content, embed=Embed.ALL).faces for pipeline in (reference, own))
        assert (ours.box, ours.score) == (theirs.box, theirs.score)
        assert ours.embedding is not None
        assert theirs.embedding is not None
        assert ours.embedding.model == "resnet@1"
        assert 1 - float(np.dot(ours.embedding.vector, theirs.embedding.vector)) < 1e-6


def test_who_it_is_costs_no_library(configure: Configure, tmp_path: Path) -> None:
    """The info is read, and the files are checked, without anything that runs models."""
    path = configure(tiny_document(tmp_path))
    program = "import sys; from adapters.vision import registry; print(registry.load('custom').info.id, *sys.modules)"
    environment = {**os.environ, "FACEMATCH_EMBEDDER_FILE": str(path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    name, *modules = done.stdout.split()
    assert name == "tiny@1"
    assert {"onnxruntime", "dlib", "mediapipe", "openvino"} & set(modules) == set()


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        ("hog", "aligned by middles of the eyes and base of the nose (dlib)"),
        ("blazeface", "aligned by its eyes, nose and middle of the mouth"),
    ],
)
def test_it_is_said_what_a_face_is_aligned_by(configure: Configure, tmp_path: Path, detector: str, words: str) -> None:
    """Each detector has other landmarks; people can see which are used."""
    configure(tiny_document(tmp_path) | {"detector": {"kind": detector}})
    assert words in registry.load("custom").info.description


@pytest.mark.parametrize("detector", ["hog", "blazeface"])
def test_a_mirror_makes_a_face_and_its_reflection_one(
    configure: Configure, tmp_path: Path, detector: str, photographs: Photographs
) -> None:
    """As far as the detector and its landmarks are symmetrical."""
    picture = opened(photographs.path("obama"))
    distances = {}
    for mirror in (False, True):
        configure(tiny_document(tmp_path) | {"detector": {"kind": detector}, "mirror": mirror})
        pipeline = registry.load("custom")(ImageBudget())
        assert isinstance(pipeline, AlignedFacePipeline)
        [face] = pipeline.detector.find(picture, every=False)
        chip = pipeline.aligner.chip(picture, face)
        one, other = pipeline.recogniser.embed([chip, np.ascontiguousarray(chip[:, ::-1])])
        distances[mirror] = 1 - float(one @ other)
    assert distances[True] < 1e-6 < distances[False]


def eyes(chip: Pixels) -> dict[Landmark, complex]:
    """Return where dlib sees the middles of the eyes on a chip, in shares of its side."""
    large = pixels_of(Image.fromarray(chip).resize((448, 448), Image.Resampling.BILINEAR))
    square = dlib.rectangle(60, 110, 388, 438)
    parts = dlib.shape_predictor(str(installed(FIVE_POINTS)))(large, square).parts()
    points = [complex(part.x, part.y) / 448 for part in parts]
    return {Landmark.RIGHT_EYE: (points[0] + points[1]) / 2, Landmark.LEFT_EYE: (points[2] + points[3]) / 2}


@pytest.mark.parametrize("name", ["obama", "biden", "astronaut"])
@pytest.mark.parametrize("detector", ["hog", "blazeface"])
def test_eyes_come_where_the_recogniser_expects_them(detector: str, name: str, photographs: Photographs) -> None:
    """Whoever found the landmarks, to a twentieth of the chip."""
    template = Template(112, {name: complex(*ARCFACE[name]) for name in EYES_NOSE_MOUTH})
    finder: Detector = HogDetector() if detector == "hog" else BlazeFaceDetector(installed(BLAZEFACE))
    aligner: Aligner = (
        FivePointAligner(installed(FIVE_POINTS), template) if detector == "hog" else DetectedPointsAligner(template)
    )
    picture = opened(photographs.path(name))
    [face] = finder.find(picture, every=False)
    seen = eyes(aligner.chip(picture, face))
    assert max(abs(seen[eye] - template.points[eye]) for eye in seen) < 0.05


def test_the_models_are_those_that_were_promised(configure: Configure, tmp_path: Path) -> None:
    """A file that is exchanged after it was checked is refused when it is loaded."""
    document = tiny_document(tmp_path)
    configure(document)
    factory = registry.load("custom")
    exchanged = tiny_model(tmp_path, factor=2.0)
    with pytest.raises(registry.MisdescribedEmbedderError, match=f"  model.sha256: .* has {sha256(exchanged)}, not"):
        factory(ImageBudget())


def test_without_a_description_it_is_said_how_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's name is in the message."""
    monkeypatch.delenv("FACEMATCH_EMBEDDER_FILE", raising=False)
    with pytest.raises(registry.UnconfiguredEmbedderError, match="set FACEMATCH_EMBEDDER_FILE to the description"):
        registry.load("custom")


def test_nobody_takes_the_name_of_another_embedder(configure: Configure, tmp_path: Path) -> None:
    """Its vectors would be compared with the other one's."""
    told = refusal(tiny_document(tmp_path) | {"id": "dlib@2"}, configure)
    assert told == ["id: dlib is another embedder's, with whose vectors yours would be compared"]


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("input", {"size": 48}, "say [1, 3, 48, 48] of float32"),
        ("input", {"layout": "NHWC"}, "say [1, 32, 32, 3] of float32"),
        ("input", {"type": "uint8"}, "say [1, 3, 32, 32] of uint8"),
    ],
)
def test_an_input_that_is_not_as_said_is_told(
    configure: Configure, tmp_path: Path, section: str, change: Document, words: str
) -> None:
    """Both what the model takes and what the description says."""
    document = tiny_document(tmp_path)
    document[section] |= change
    told = refusal(document, configure)
    assert told == [f"input: the model takes [any, 3, 32, 32] of float32, but `size`, `layout` and `type` {words}"]


def test_a_dimension_that_is_not_as_said_is_told(configure: Configure, tmp_path: Path) -> None:
    """The model is tried out: what it says of itself may be open."""
    told = refusal(tiny_document(tmp_path) | {"dimension": 128}, configure)
    assert told == [f"dimension: the model's vectors have {TINY_DIMENSION}, not 128"]


def test_a_model_that_fails_without_a_word_is_told(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the error: runtimes raise what they like."""

    def fail(_network: OnnxNetwork, _tensor: Tensor) -> NoReturn:
        raise RuntimeError

    monkeypatch.setattr(OnnxNetwork, "run", fail)
    assert refusal(tiny_document(tmp_path), configure) == ["model.file: cannot be run: RuntimeError"]


@pytest.mark.parametrize(
    ("outputs", "factor", "words"),
    [
        (2, 1.0, "model.file: has 1 inputs and 2 outputs; one of each is expected"),
        (1, 0.0, "model.file: makes of a grey chip a vector that is zero or not finite"),
        (1, float("nan"), "model.file: makes of a grey chip a vector that is zero or not finite"),
    ],
)
def test_a_model_that_is_no_recogniser_is_told(
    configure: Configure, tmp_path: Path, outputs: int, factor: float, words: str
) -> None:
    """It has one output, which is a vector with a direction."""
    document = tiny_document(tmp_path)
    document["model"]["sha256"] = sha256(tiny_model(tmp_path, outputs=outputs, factor=factor))
    [told] = refusal(document, configure)
    assert told.startswith(words)


def test_weights_in_another_file_are_refused(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would come from wherever the worker was started, with no checksum."""
    document = tiny_document(tmp_path)
    monkeypatch.chdir(tmp_path)
    model = onnx.load(tiny_model(tmp_path))
    [weights] = model.graph.initializer
    weights.raw_data = np.ones(1, np.float32).tobytes()
    weights.ClearField("float_data")
    external_data_helper.set_external_data(weights, location="weights.bin")
    path = tmp_path / "tiny.onnx"
    onnx.save(model, path)
    document["model"]["sha256"] = sha256(path)
    assert (tmp_path / "weights.bin").exists()
    [told] = refusal(document, configure)
    assert told.startswith("model.file: keeps weights in other files, which its checksum does not cover")


@pytest.mark.parametrize("place", ["model", "detector"])
def test_a_file_that_is_no_model_is_told(configure: Configure, tmp_path: Path, place: str) -> None:
    """In one line, whatever the runtime says."""
    document = tiny_document(tmp_path)
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"junk")
    document.setdefault(place, {}).update(file=junk.name, sha256=sha256(junk))
    if place == "detector":
        document[place]["kind"] = "yunet"
    [told] = refusal(document, configure)
    assert told.startswith(f"{place}.file: cannot be loaded: ")


def test_a_detector_that_is_no_yunet_is_told(configure: Configure, tmp_path: Path) -> None:
    """With the outputs that it lacks."""
    document = tiny_document(tmp_path)
    document["detector"] = {"kind": "yunet", **document["model"]}
    [told] = refusal(document, configure)
    assert told.startswith("detector.file: is no YuNet: bbox_16, bbox_32, bbox_8, cls_16, ")


def test_everything_is_told_at_once_the_models_included(configure: Configure, tmp_path: Path) -> None:
    """What is wrong in the text does not hide what is wrong with the models."""
    document = tiny_document(tmp_path) | {"dimension": 128, "colour": "RGB"}
    del document["licence"]
    document["detector"] = {"kind": "yunet", **document["model"]}
    told = refusal(document, configure)
    assert [line.partition(":")[0] for line in told] == ["licence", "unknown", "dimension", "detector.file"]


def face_of(document: Document, faces: tuple[DetectedFace, ...]) -> tuple[float, ...]:
    """Return the vector of the only face; it is of the document's id."""
    [face] = faces
    assert face.embedding is not None
    assert face.embedding.model == document["id"]
    return face.embedding.vector


async def test_the_processes_of_the_pool_read_the_description_too(
    configure: Configure, tmp_path: Path, photographs: Photographs
) -> None:
    """A vector from another process is the one from this process."""
    document = tiny_document(tmp_path)
    configure(document)
    content = photographs.path("obama").read_bytes()
    here = registry.load("custom")(BUDGET).read(content, embed=Embed.ALL)
    pool = pool_of("custom", 1)
    try:
        await pool.start()
        there = await pool.read(content, embed=Embed.ALL)
    finally:
        await pool.close()
    assert face_of(document, there.faces) == face_of(document, here.faces)


async def test_a_wrong_model_stops_the_pool_as_a_wrong_configuration(configure: Configure, tmp_path: Path) -> None:
    """What only the process that loads it can see arrives whole, as an error of configuration and of availability."""
    path = configure(tiny_document(tmp_path) | {"dimension": 128})
    pool = pool_of("custom", 1)
    with pytest.raises(registry.MisdescribedEmbedderError, match=f"{path}:\n  dimension: ") as raised:
        await pool.start()
    assert isinstance(raised.value, EmbedderUnavailableError)


async def test_a_description_that_becomes_another_model_is_refused_until_the_next_start(
    configure: Configure, tmp_path: Path
) -> None:
    """The gallery of the old model would be asked about vectors of the new one."""
    document = tiny_document(tmp_path)
    configure(document)
    pool = pool_of("custom", 1)
    configure(document | {"id": "tiny@2"})
    with pytest.raises(EmbedderUnavailableError, match="'custom' was tiny@1 at the start and is tiny@2 now"):
        await pool.start()


def in_representation_of_openvino(folder: Path) -> Document:
    """Write the tiny model as OpenVINO keeps it, and return a right description of it."""
    openvino = pytest.importorskip("openvino", reason="NOT TESTED: the extra openvino is not installed")
    document = tiny_document(folder)
    graph, weights = folder / "tiny.xml", folder / "tiny.bin"
    openvino.serialize(openvino.Core().read_model(folder / "tiny.onnx"), graph, weights)
    document["model"] = {"file": graph.name, "sha256": sha256(graph), "weights_sha256": sha256(weights)}
    return document


def test_a_model_of_openvino_gives_what_the_same_model_in_onnx_gives(configure: Configure, tmp_path: Path) -> None:
    """In full precision, on every chip."""
    configure(in_representation_of_openvino(tmp_path))
    pipeline = registry.load("custom")(ImageBudget())
    assert isinstance(pipeline, AlignedFacePipeline)
    chips = [
        np.random.default_rng(seed).integers(0, 256, (TINY_SIDE, TINY_SIDE, 3)).astype(np.uint8) for seed in range(5)
    ]
    network = OnnxNetwork((tmp_path / "tiny.onnx").read_bytes())
    expected = [network.run(chip.astype(np.float32).transpose(2, 0, 1)[np.newaxis])[0][0] for chip in chips]
    unit = np.array(expected) / np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(pipeline.recogniser.embed(chips) - unit).max() < 1e-6


def test_a_model_of_openvino_is_checked_like_any_other(configure: Configure, tmp_path: Path) -> None:
    """Its input and its dimension."""
    document = in_representation_of_openvino(tmp_path)
    assert refusal(document | {"dimension": 7}, configure) == ["dimension: the model's vectors have 12, not 7"]
    document["input"]["size"] = 64
    [told] = refusal(document, configure)
    assert told.endswith("say [1, 3, 64, 64] of float32")


def test_without_the_extra_it_is_said_what_to_install(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of OpenVINO on an installation without it is no crash."""
    document = tiny_document(tmp_path)
    graph, weights = tmp_path / "net.xml", tmp_path / "net.bin"
    graph.write_text("<net/>")
    weights.write_bytes(b"")
    document["model"] = {"file": graph.name, "sha256": sha256(graph), "weights_sha256": sha256(weights)}
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "adapters.vision.networks.openvino_network", raising=False)
    [told] = refusal(document, configure)
    assert "from the clone, `pip install '.[openvino]'`" in told

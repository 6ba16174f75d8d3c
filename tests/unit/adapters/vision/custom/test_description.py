"""Descriptions of somebody's own recogniser: right ones are understood, of wrong ones everything is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.vision.custom.description import read
from domain.calibration import Calibration
from tests.own_models import DLIB, Document, sha256, tiny_document, written


def problems(document: Document, folder: Path) -> list[str]:
    """Return what is wrong with a description."""
    return list(read(written(document, folder)).problems)


def test_a_right_description_is_understood(tmp_path: Path) -> None:
    """Its values, those it leaves out, and where its model lies."""
    parts = read(written(tiny_document(tmp_path), tmp_path))
    said = parts.description
    assert parts.problems == ()
    assert said is not None
    assert (said.id, said.dimension, said.metric, said.mirror) == ("tiny@1", 12, "cosine", False)
    assert (said.detector.kind, said.input.type, said.input.mean, said.input.scale) == (
        "hog",
        "float32",
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
    )
    assert said.thresholds == Calibration(((1.0, 0.1),))
    assert parts.model is not None
    assert parts.model.path == tmp_path / "tiny.onnx"


def test_measured_distances_are_understood(tmp_path: Path) -> None:
    """Pairs of false match rate and distance are the calibration."""
    document = tiny_document(tmp_path)
    document["thresholds"] = {"false_match_rates": [[1e-5, 0.2], [1e-3, 0.3]]}
    said = read(written(document, tmp_path)).description
    assert said is not None
    assert said.thresholds == Calibration(((1e-5, 0.2), (1e-3, 0.3)))


def test_one_number_stands_for_three_colours(tmp_path: Path) -> None:
    """Mean and scale may be given once for all, or for each."""
    document = tiny_document(tmp_path)
    document["input"] |= {"mean": 127.5, "scale": [1, 2, 3]}
    said = read(written(document, tmp_path)).description
    assert said is not None
    assert (said.input.mean, said.input.scale) == ((127.5, 127.5, 127.5), (1.0, 2.0, 3.0))


def _set(*path: str, to: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *tables, key = path
        for table in tables:
            document = document.setdefault(table, {})
        document[key] = to

    return change


def _without(*path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *tables, key = path
        for table in tables:
            document = document[table]
        del document[key]

    return change


WRONG = {
    "no version": (_set("id", to="tiny"), "id: expected name@version"),
    "no licence": (_without("licence"), "licence: missing"),
    "an empty licence": (_set("licence", to=" "), "licence: expected a text"),
    "a dimension in words": (_set("dimension", to="12"), "dimension: expected a whole number from 2 to 16000"),
    "another metric": (_set("metric", to="euclidean"), "metric: expected cosine"),
    "a mirror in words": (_set("mirror", to="yes"), "mirror: expected true or false"),
    "an unknown key": (_set("dimensions", to=1), "unknown: dimensions"),
    "an unknown key below": (_set("input", "color", to="RGB"), "input: unknown: color"),
    "no model": (_without("model"), "model: missing"),
    "a model that is no table": (_set("model", to="tiny.onnx"), "model: expected a table"),
    "half a checksum": (_set("model", "sha256", to="abc"), "model.sha256: expected a SHA-256: 64 hexadecimal digits, "),
    "another checksum": (_set("model", "sha256", to="0" * 64), "model.sha256: "),
    "a missing file": (_set("model", "file", to="none.onnx"), "model.file: cannot read "),
    "another format": (_set("model", "file", to="model.pb"), "model.file: expected a name that ends with .onnx "),
    "weights of ONNX": (_set("model", "weights_sha256", to="0" * 64), "model.weights_sha256: only a model of OpenVINO"),
    "no weights": (_set("model", "file", to="model.xml"), "model.weights_sha256: missing"),
    "a side in words": (_set("input", "size", to=True), "input.size: expected a whole number from 16 to 1024"),
    "small letters": (_set("input", "colours", to="rgb"), "input.colours: expected RGB or BGR"),
    "no layout": (_without("input", "layout"), "input.layout: missing"),
    "half floats": (_set("input", "type", to="float16"), "input.type: expected float32 or uint8"),
    "two means": (_set("input", "mean", to=[1, 2]), "input.mean: expected a number, or three"),
    "a scale of zero": (_set("input", "scale", to=0), "input.scale: expected numbers that are not 0"),
    "prepared twice": (
        lambda document: document["input"].update(type="uint8", mean=1),
        "input.mean, input.scale: a network that takes uint8 does this itself",
    ),
    "four landmarks": (_without("landmarks", "nose"), "landmarks: expected left_eye, left_mouth, nose, "),
    "two templates": (
        lambda document: document["landmarks"].update(DLIB),
        "landmarks: expected left_eye, left_mouth, nose, ",
    ),
    "pixels": (_set("landmarks", "nose", to=[56, 72]), "landmarks: nose is not two numbers from 0 to 1"),
    "left and right exchanged": (
        _set("landmarks", "left_eye", to=[0.9, 0.46]),
        "landmarks: left_eye is not left of right_eye: they are named as who looks at the picture sees them",
    ),
    "no thresholds": (_without("thresholds"), "thresholds: missing"),
    "two kinds of thresholds": (
        _set("thresholds", "false_match_rates", to=[[0.1, 0.2]]),
        "thresholds: expected either `distance`, 0 to 2, or `false_match_rates`",
    ),
    "rates that descend": (
        _set("thresholds", to={"false_match_rates": [[1e-2, 0.2], [1e-3, 0.3]]}),
        "thresholds: a calibration needs pairs of rate and distance that ascend",
    ),
    "another detector": (_set("detector", "kind", to="mtcnn"), "detector.kind: expected hog or blazeface or yunet"),
    "a detector's file is missing": (_set("detector", "kind", to="yunet"), "detector.file: missing; yunet is a file"),
    "a file for ours": (_set("detector", "file", to="a.onnx"), "detector.file: hog comes with facematch, as it is"),
    "a score for ours": (_set("detector", "least_score", to=0.5), "detector.least_score: hog comes with facematch"),
    "a detector of OpenVINO": (
        _set("detector", to={"kind": "yunet", "file": "net.xml", "sha256": "0" * 64}),
        "detector.file: expected a name that ends with .onnx (ONNX)",
    ),
    "a score in percent": (_set("detector", "least_score", to=70), "detector.least_score: expected a number from 0 to"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place(change: Callable[[Document], None], words: str, tmp_path: Path) -> None:
    """The key's full name, then what is expected; and nothing is made of a wrong description."""
    document = tiny_document(tmp_path)
    change(document)
    parts = read(written(document, tmp_path))
    assert [problem for problem in parts.problems if problem.startswith(words)]
    assert parts.description is None


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """However much it is."""
    document = tiny_document(tmp_path)
    wrong = ["no version", "no licence", "an unknown key below", "another checksum", "small letters", "pixels"]
    for name in wrong:
        WRONG[name][0](document)
    told = problems(document, tmp_path)
    assert [name for name in wrong if any(problem.startswith(WRONG[name][1]) for problem in told)] == wrong
    assert len(told) == len(wrong)


def test_a_checksum_is_told_as_it_is_and_as_it_was_promised(tmp_path: Path) -> None:
    """One can see which file it is, and compare."""
    document = tiny_document(tmp_path)
    found, document["model"]["sha256"] = document["model"]["sha256"], "0" * 64
    assert problems(document, tmp_path) == [
        f"model.sha256: {tmp_path / 'tiny.onnx'} has {found}, not {'0' * 64}",
    ]


def test_both_files_of_openvino_are_checked(tmp_path: Path) -> None:
    """The weights lie beside the graph, under its name."""
    document = tiny_document(tmp_path)
    graph, weights = tmp_path / "net.xml", tmp_path / "net.bin"
    graph.write_text("<net/>")
    weights.write_bytes(b"weights")
    document["model"] = {"file": "net.xml", "sha256": sha256(graph), "weights_sha256": sha256(weights)}
    assert problems(document, tmp_path) == []
    weights.write_bytes(b"others")
    assert problems(document, tmp_path) == [
        f"model.weights_sha256: {weights} has {sha256(weights)}, not {document['model']['weights_sha256']}"
    ]


@pytest.mark.parametrize(
    ("content", "words"), [(b"id = tiny", "is not TOML in UTF-8: "), (b'id = "\xff"', "is not TOML in UTF-8: ")]
)
def test_what_is_no_toml_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    """With the parser's words, which name the line."""
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    [problem] = read(path).problems
    assert problem.startswith(words)


def test_a_missing_description_is_told(tmp_path: Path) -> None:
    """It is no crash."""
    assert read(tmp_path / "none.toml").problems == ("cannot be read (No such file or directory)",)


def test_a_description_that_is_nested_without_end_is_told(tmp_path: Path) -> None:
    """It is no description, and no stack trace."""
    path = tmp_path / "deep.toml"
    path.write_text(f"id = {'[' * 20_000}{']' * 20_000}")
    assert read(path).problems == ("is nested too deeply",)

"""Recognisers of one's own, made for tests: models that are written when they are needed, and their descriptions."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from adapters.vision.weights.graph_cache import cache_folder, dlib_resnet
from adapters.vision.weights.provided import RECOGNISER

ARCFACE: Final = {
    "left_eye": [0.3419, 0.4616],
    "right_eye": [0.6565, 0.4598],
    "nose": [0.5002, 0.6405],
    "left_mouth": [0.3710, 0.8247],
    "right_mouth": [0.6315, 0.8232],
}
DLIB: Final = {
    "right_eye_outer": [(0.8596 + 0.25) / 1.5, (0.2135 + 0.25) / 1.5],
    "right_eye_inner": [(0.6461 + 0.25) / 1.5, (0.2290 + 0.25) / 1.5],
    "left_eye_outer": [(0.1206 + 0.25) / 1.5, (0.2137 + 0.25) / 1.5],
    "left_eye_inner": [(0.3341 + 0.25) / 1.5, (0.2291 + 0.25) / 1.5],
    "nose_base": [(0.4901 + 0.25) / 1.5, (0.6278 + 0.25) / 1.5],
}
TINY_SIDE: Final = 32
TINY_DIMENSION: Final = 12
_OPSET: Final = 17

Document = dict[str, Any]


def tiny_model(folder: Path, *, outputs: int = 1, factor: float = 1.0) -> Path:
    """Write a network from float32 [1, 3, 32, 32] to 12 numbers: the mean of each colour in each quarter of the chip.

    ``outputs`` says how many times it gives them, ``factor`` what they are multiplied by.
    """
    chips = helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["faces", 3, TINY_SIDE, TINY_SIDE])
    names = [f"vectors{number}" for number in range(outputs)]
    nodes = [
        helper.make_node("AveragePool", ["chips"], ["means"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        *(helper.make_node("Mul", ["flat", "factor"], [name]) for name in names),
    ]
    vectors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", TINY_DIMENSION]) for name in names]
    constant = helper.make_tensor("factor", TensorProto.FLOAT, [], np.array([factor], np.float32))
    graph = helper.make_graph(nodes, "tiny", [chips], vectors, [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)
    path = folder / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tiny_document(folder: Path) -> Document:
    """Write the tiny model and return a right description of it."""
    model = tiny_model(folder)
    return {
        "id": "tiny@1",
        "licence": "none",
        "dimension": TINY_DIMENSION,
        "model": {"file": model.name, "sha256": sha256(model)},
        "input": {"size": TINY_SIDE, "colours": "RGB", "layout": "NCHW"},
        "landmarks": deepcopy(ARCFACE),
        "thresholds": {"distance": 0.1},
    }


def resnet_document(folder: Path) -> Document:
    """Write dlib's network as a model file and return a right description of it."""
    model = folder / "resnet.onnx"
    model.write_bytes(dlib_resnet(RECOGNISER, cache_folder()))
    return {
        "id": "resnet@1",
        "licence": "public domain (CC0)",
        "dimension": 128,
        "model": {"file": model.name, "sha256": sha256(model)},
        "input": {"size": 150, "colours": "RGB", "layout": "NHWC", "type": "uint8"},
        "landmarks": deepcopy(DLIB),
        "thresholds": {"false_match_rates": [[1e-5, 0.0469], [1e-3, 0.0747]]},
        "detector": {"kind": "hog"},
    }


def written(document: Mapping[str, Any], folder: Path) -> Path:
    """Write a description and return its path."""
    path = folder / "own.toml"
    path.write_text(toml(document))
    return path


def toml(document: Mapping[str, Any]) -> str:
    """Return a description as TOML: its values, and one level of tables."""
    values = [f"{key} = {json.dumps(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for name, table in document.items():
        if isinstance(table, dict):
            values += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(values) + "\n"

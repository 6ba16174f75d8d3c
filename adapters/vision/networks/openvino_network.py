"""OpenVINO: what runs models in its intermediate representation, an ``.xml`` and a ``.bin``. An optional dependency."""

import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from adapters.vision.networks.network import Floats, Tensor, TensorInfo

# Its tools, which nobody asked for, come with what sends statistics to Intel; without it they use a stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how one forbids an import

import openvino  # noqa: E402 - the line above comes first

_ALONE: Final = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "INFERENCE_PRECISION_HINT": "f32",  # where a processor has bf16 it would be used, and shift distances
}


class OpenVinoNetwork:
    """A model in OpenVINO's intermediate representation, computed in 32-bit floating point."""

    def __init__(self, graph: bytes, weights: bytes) -> None:
        core = openvino.Core()
        model = core.read_model(graph, openvino.Tensor(np.frombuffer(weights, np.uint8)))
        self._model = core.compile_model(model, "CPU", _ALONE)
        self.inputs = tuple(_info(node) for node in self._model.inputs)
        self.outputs = tuple(_info(node) for node in self._model.outputs)

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Return the outputs."""
        results = self._model([tensor])
        return [np.array(results[output]) for output in self._model.outputs]


def _info(node: openvino.ConstOutput) -> TensorInfo:
    shape = tuple(size.get_length() if size.is_static else None for size in node.get_partial_shape())
    kind = np.dtype(node.get_element_type().to_dtype()).name
    return TensorInfo(next(iter(sorted(node.get_names())), ""), shape, kind)

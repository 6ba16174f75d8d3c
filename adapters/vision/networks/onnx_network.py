"""ONNX Runtime: what runs models in ONNX."""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from adapters.vision.networks.network import Floats, Tensor, TensorInfo


class OnnxNetwork:
    """A model in ONNX, in one file, run by ONNX Runtime."""

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3  # errors; it warns of every model that was not written for it
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(_info(node) for node in self._session.get_inputs())
        self.outputs = tuple(_info(node) for node in self._session.get_outputs())

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Return the outputs."""
        outputs: Sequence[Floats] = self._session.run(None, {self.inputs[0].name: tensor})
        return outputs


def _info(node: Any) -> TensorInfo:  # noqa: ANN401 - ONNX Runtime's type has no name
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorInfo(node.name, shape, "float32" if kind == "float" else kind)

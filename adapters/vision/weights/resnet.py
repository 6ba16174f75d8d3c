"""dlib's face recognition network as an ONNX graph, which runs ten times as fast as in dlib.

The network: a 7x7 convolution and a maximum pool, then residual blocks of two 3x3 convolutions each. A block that
halves the picture carries its input past the convolutions by an average pool; where the two sides then differ in size
or channels, dlib adds zeros to the smaller one, at the bottom, at the right, and as last channels.
"""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from adapters.vision.weights.dlib_weights import DlibWeights, Floats
from adapters.vision.weights.provided import RECOGNISER_SIDE

DIMENSION: Final = 128
_MEAN: Final = (122.782, 117.001, 104.298)
_RANGE: Final = 256.0
_STEM: Final = 32
_STAGES: Final = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels, blocks, and whether the first block halves the picture."""
_OPSET: Final = 17
_IR_VERSION: Final = 10


class _Graph:
    """Collects nodes; every method returns the name of the tensor that it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: int | list[int]) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))  # type: ignore[arg-type]
        return name

    def constant(self, values: Floats | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolution(self, source: str, weights: tuple[Floats, Floats], stride: int) -> str:
        kernels, biases = map(self.constant, weights)
        side = weights[0].shape[-1]
        padding = side // 2 if stride == 1 else 0
        return self.node("Conv", source, kernels, biases, strides=[stride, stride], pads=[padding] * 4)

    def grown(self, source: str, channels: int, side: int) -> str:
        """Add zeros behind the existing channels, rows and columns."""
        if not channels and not side:
            return source
        pads = self.constant(np.array([0, 0, 0, 0, 0, channels, side, side], np.int64))
        return self.node("Pad", source, pads)


def build(path: Path) -> onnx.ModelProto:
    """Return the network: from uint8 [faces, 150, 150, 3], RGB, to float32 [faces, 128], not normalised."""
    weights, graph = DlibWeights(path), _Graph()
    current = graph.node("Cast", "chips", to=TensorProto.FLOAT)
    current = graph.node("Sub", current, graph.constant(np.array(_MEAN, np.float32)))
    current = graph.node("Div", current, graph.constant(np.array(_RANGE, np.float32)))
    current = graph.node("Transpose", current, perm=[0, 3, 1, 2])
    current = graph.node("Relu", graph.convolution(current, weights.convolution(_STEM, 3, 7), stride=2))
    current = graph.node("MaxPool", current, kernel_shape=[3, 3], strides=[2, 2])
    side, channels = _halved(_halved(RECOGNISER_SIDE, 7), 3), _STEM
    for wider, blocks, halves in _STAGES:
        for number in range(blocks):
            stride = 2 if halves and number == 0 else 1
            inner = graph.convolution(current, weights.convolution(wider, channels, 3), stride)
            inner = graph.convolution(graph.node("Relu", inner), weights.convolution(wider, wider, 3), 1)
            if stride != 1:
                current = graph.node("AveragePool", current, kernel_shape=[2, 2], strides=[2, 2])
                inner_side, side = _halved(side, 3), _halved(side, 2)
                inner = graph.grown(inner, 0, side - inner_side)
                current = graph.grown(current, wider - channels, 0)
            channels = wider
            current = graph.node("Relu", graph.node("Add", inner, current))
    current = graph.node("Flatten", graph.node("GlobalAveragePool", current))
    graph.nodes.append(
        helper.make_node("MatMul", [current, graph.constant(weights.matrix(channels, DIMENSION))], ["vectors"])
    )
    chips = helper.make_tensor_value_info("chips", TensorProto.UINT8, ["faces", RECOGNISER_SIDE, RECOGNISER_SIDE, 3])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["faces", DIMENSION])
    return helper.make_model(
        helper.make_graph(graph.nodes, "dlib_face_recognition_resnet_v1", [chips], [vectors], graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


def _halved(side: int, kernel: int) -> int:
    """Return the side after a step of 2 without padding."""
    return (side - kernel) // 2 + 1

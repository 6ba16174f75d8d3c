"""Whether a model in ONNX keeps weights in other files, which no checksum of the model covers."""

from collections.abc import Iterator
from typing import Any

import onnx


def refers_elsewhere(graph: bytes) -> bool:
    """Tell whether any tensor of the model, in whatever part of it, lies in another file.

    Raises:
        google.protobuf.message.DecodeError: this is no model.

    """
    model = onnx.load_model_from_string(graph)
    return any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model))


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:  # noqa: ANN401 - any message of the format
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                yield from _tensors(part)

"""Networks: what a loaded model is, whatever runs it. One input, tensors as numpy arrays, the caller's thread."""

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@attrs.frozen
class TensorInfo:
    """What a model says of an input or an output.

    ``shape`` has None where any size will do; ``kind`` is numpy's name of the element type, or what the runtime calls
    one that is not supported here.
    """

    name: str
    shape: tuple[int | None, ...]
    kind: str

    def __str__(self) -> str:
        """Return shape and type as people write them."""
        return f"[{', '.join('any' if size is None else str(size) for size in self.shape)}] of {self.kind}"


class Network(Protocol):
    """A loaded model."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def run(self, tensor: Tensor) -> Sequence[Floats]:
        """Return the outputs, in their order, for the only input.

        Each has the shape that :attr:`outputs` states for it; whoever calls knows the model and checks that.
        """

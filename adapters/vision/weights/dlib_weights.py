"""Reading the file that holds dlib's face recognition network, without dlib.

The file is what dlib's ``serialize`` writes. Its elements have no names and no lengths of their own:

- an integer is one byte whose lower half counts the bytes that follow (its highest bit is the sign), then these,
  little-endian;
- a string is an integer, its length, then its bytes;
- a tensor is the integer 2 (its version), four integers (samples, channels, rows, columns), then its values as
  little-endian 32-bit floats;
- a layer is a string, its kind, followed by what that kind keeps. Layers follow each other from the image to the
  vector. A convolution (``con_4``) begins with one tensor of all filters [filters, channels, rows, columns] and then
  the biases, an affine layer (``affine_``) with one tensor of all factors and then all offsets, the last layer
  (``fc_2``) with two integers and a tensor [inputs, outputs]. What else they keep (sizes, multipliers of the learning
  rate, empty gradients) is fixed by the architecture or of no use after the training, and is skipped here.

The architecture is not in the file; whoever reads asks for the layers in their order, with the sizes they must have.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.errors import FacematchError

Floats = npt.NDArray[np.float32]

_TENSOR_VERSION: Final = 2
_SIZE_BITS: Final = 0x0F
_SIGN_BIT: Final = 0x80


class UnexpectedWeightsError(FacematchError):
    """The file does not hold the network that it should hold."""


class DlibWeights:
    """The layers of one file, read one after the other."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._data = path.read_bytes()
        self._position = 0

    def convolution(self, filters: int, channels: int, side: int) -> tuple[Floats, Floats]:
        """Return the next convolution, with the affine layer behind it folded in.

        Returns:
            Filters of shape [filters, channels, side, side], and biases of shape [filters].

        """
        self._find(b"con_4")
        values = self._tensor(filters * channels * side * side + filters)
        kernels, biases = values[:-filters].reshape(filters, channels, side, side), values[-filters:]
        self._find(b"affine_")
        factors, offsets = self._tensor(2 * filters).reshape(2, filters)
        return kernels * factors[:, None, None, None], biases * factors + offsets

    def matrix(self, inputs: int, outputs: int) -> Floats:
        """Return the next fully connected layer's matrix, of shape [inputs, outputs]."""
        self._find(b"fc_2")
        self._integer()
        self._integer()
        return self._tensor(inputs * outputs).reshape(inputs, outputs)

    def _find(self, kind: bytes) -> None:
        """Go behind the name of the next layer of that kind; only small integers lie before it."""
        start = self._data.find(bytes((1, len(kind))) + kind, self._position)
        if start < 0:
            raise UnexpectedWeightsError(f"{self._name} holds fewer layers than the network has")
        self._position = start + 2 + len(kind)

    def _integer(self) -> int:
        [control] = self._take(1)
        value = int.from_bytes(self._take(control & _SIZE_BITS), "little")
        return -value if control & _SIGN_BIT else value

    def _tensor(self, size: int) -> Floats:
        version, *shape = (self._integer() for _ in range(5))
        if version != _TENSOR_VERSION or np.prod(shape) != size:
            raise UnexpectedWeightsError(f"{self._name} holds a layer of shape {shape} where {size} values should be")
        return np.frombuffer(self._take(4 * size), "<f4").astype(np.float32)

    def _take(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise UnexpectedWeightsError(f"{self._name} is truncated")
        return self._data[start : self._position]

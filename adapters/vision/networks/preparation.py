"""Preparation: from pixels, as of an aligned crop, to the tensor that a network wants."""

from enum import StrEnum
from typing import Final

import attrs
import numpy as np

from adapters.vision.networks.network import Tensor
from adapters.vision.pictures.pixels import Pixels

CHANNELS: Final = 3


class Colours(StrEnum):
    """The order of a pixel's three values."""

    RGB = "RGB"
    BGR = "BGR"


class Layout(StrEnum):
    """The order of a tensor's axes: number of faces, channels, height, width."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Kind(StrEnum):
    """The type of a tensor's elements."""

    FLOAT32 = "float32"
    UINT8 = "uint8"


@attrs.frozen
class Preparation:
    """What is done to a chip's pixels, 0 to 255 each; as it stands here: nothing.

    Floating-point values become ``(value - mean) / scale``, channel by channel in the order of ``colours``.
    """

    colours: Colours = Colours.RGB
    layout: Layout = Layout.NHWC
    kind: Kind = Kind.UINT8
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def shape(self, side: int) -> tuple[int, int, int, int]:
        """Return the tensor's shape for one chip."""
        return (1, CHANNELS, side, side) if self.layout is Layout.NCHW else (1, side, side, CHANNELS)

    def __call__(self, chip: Pixels) -> Tensor:
        """Return the tensor of one chip of shape [side, side, 3], RGB."""
        values: Tensor = chip if self.colours is Colours.RGB else chip[..., ::-1]
        if self.kind is Kind.FLOAT32:
            values = (values.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.scale, np.float32)
        if self.layout is Layout.NCHW:
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[np.newaxis])

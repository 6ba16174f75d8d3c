"""From a chip to a network's input."""

import numpy as np
import pytest

from adapters.vision.networks.preparation import Colours, Kind, Layout, Preparation

CHIP = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)


def test_by_default_nothing_is_done() -> None:
    """The pixels come as they are, one face at a time."""
    tensor = Preparation()(CHIP)
    assert tensor.dtype == np.uint8
    assert np.array_equal(tensor, CHIP[np.newaxis])


@pytest.mark.parametrize(("colours", "first"), [(Colours.RGB, [0, 1, 2]), (Colours.BGR, [2, 1, 0])])
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("kind", list(Kind))
def test_colours_and_axes_are_as_said(colours: Colours, first: list[int], layout: Layout, kind: Kind) -> None:
    """Whatever the element type, the first pixel's colours lie in the said order on the said axis."""
    preparation = Preparation(colours, layout, kind)
    tensor = preparation(CHIP)
    assert tensor.shape == preparation.shape(2)
    assert tensor.dtype == kind.value
    assert tensor.flags.c_contiguous
    pixel = tensor[0, :, 0, 0] if layout is Layout.NCHW else tensor[0, 0, 0, :]
    assert pixel.tolist() == first


def test_mean_and_scale_are_those_of_the_said_order() -> None:
    """(value - mean) / scale, the first of each for blue where blue comes first."""
    tensor = Preparation(Colours.BGR, Layout.NHWC, Kind.FLOAT32, (2.0, 0.0, 0.0), (0.5, 1.0, 2.0))(CHIP)
    assert tensor[0, 0, 1].tolist() == [(5 - 2) / 0.5, 4, 3 / 2]

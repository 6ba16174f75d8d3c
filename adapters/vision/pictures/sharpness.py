"""How sharp a face is, as the recogniser gets it."""

from typing import Final

import numpy as np

from adapters.vision.pictures.pixels import Pixels

_EDGE: Final = 0.2
"""How much of a chip is left out on each side, in sides: hair and background say nothing of the face."""


def sharpness(chip: Pixels) -> float:
    """Return the standard deviation of the chip's Laplacian, in grey levels: 0 is no detail at all.

    The variance of the Laplacian is a usual measure of focus (Pech-Pacheco et al. 2000); its root grows linearly with
    contrast. The smaller the chip, the larger the figure.
    """
    edge = int(chip.shape[0] * _EDGE)
    grey = chip[edge:-edge, edge:-edge].mean(axis=2, dtype=np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).std())

"""Distances between many embeddings, by matrix products."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.faces import FaceEmbedding

_ROWS: Final = 512
"""How many embeddings are compared with all others at a time, which bounds the memory."""

_Units = npt.NDArray[np.float64]
"""Shape [embeddings, dimension], each row of length 1."""


class NumpyDistances:
    """Compares a few million pairs in a second."""

    def among(self, embeddings: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distances of every two, ascending."""
        units = _units(embeddings)
        count = len(units)
        distances = np.empty(count * (count - 1) // 2)
        filled = 0
        for start, block in _blocks(units):
            products = block @ units[start:].T
            above = products[np.triu_indices(len(block), 1, products.shape[1])]
            distances[filled : filled + len(above)] = 1 - above
            filled += len(above)
        distances.sort()
        return array("d", distances.tobytes())

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""
        distances: list[float] = (1 - (_units(ones) * _units(others)).sum(axis=1)).tolist()
        return distances

    def nearest(self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding]) -> Sequence[tuple[int, float]]:
        """Return, for each probe, the place of the nearest of the gallery and its distance."""
        enrolled = _units(gallery)
        found: list[tuple[int, float]] = []
        for _, block in _blocks(_units(probes)):
            distances = 1 - block @ enrolled.T
            places = distances.argmin(axis=1)
            found.extend(zip(places.tolist(), distances[np.arange(len(block)), places].tolist(), strict=True))
        return found


def _units(embeddings: Sequence[FaceEmbedding]) -> _Units:
    vectors = np.array([embedding.vector for embedding in embeddings], np.float64)
    if not len(vectors):
        return np.empty((0, 1))
    units: _Units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _blocks(units: _Units) -> Iterator[tuple[int, _Units]]:
    for start in range(0, len(units), _ROWS):
        yield start, units[start : start + _ROWS]

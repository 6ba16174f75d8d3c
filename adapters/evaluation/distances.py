"""Distances between many embeddings, by matrix products."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from application.ports.distances import Neighbour
from domain.faces import FaceEmbedding

_ROWS: Final = 512
"""How many embeddings are compared with all others at a time, which bounds the memory."""

_Units = npt.NDArray[np.float64]
"""Shape [embeddings, dimension], each row of length 1."""


class NumpyDistances:
    """Compares a few million pairs in a second."""

    def near(self, embeddings: Sequence[FaceEmbedding], limit: float) -> Sequence[int]:
        """Return for each of them how many others lie at this distance or nearer, by those of :meth:`across`."""
        opposite = _units(embeddings)  # a copy: a product of an array with itself is rounded in another way
        counts = np.zeros(len(opposite), np.int64)
        for start, block in _blocks(_units(embeddings)):
            within = np.triu(1 - block @ opposite[start:].T <= limit, 1)
            counts[start : start + len(block)] += within.sum(axis=1)
            counts[start:] += within.sum(axis=0)
        found: list[int] = counts.tolist()
        return found

    def across(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to every other at a later place than its own, ascending."""
        opposite = _units(others)
        found = [np.empty(0)]
        for start, block in _blocks(_units(ones)):
            products = block @ opposite[start:].T
            found.append(1 - products[np.triu_indices(len(block), 1, products.shape[1])])
        distances = np.concatenate(found)
        distances.sort()
        ascending = array("d")
        ascending.frombytes(distances.view(np.uint8).data)
        return ascending

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""
        distances: list[float] = (1 - (_units(ones) * _units(others)).sum(axis=1)).tolist()
        return distances

    def nearest(
        self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding], count: int
    ) -> Sequence[Sequence[Neighbour]]:
        """Return, for each probe, so many of the gallery that are nearest to it, closest first, or all there are."""
        if not gallery:
            return [[] for _ in probes]
        enrolled = _units(gallery)
        wanted = min(count, len(enrolled))
        found: list[list[Neighbour]] = []
        for _, block in _blocks(_units(probes)):
            distances = 1 - block @ enrolled.T
            places = np.argpartition(distances, wanted - 1, axis=1)[:, :wanted]
            nearest = np.take_along_axis(distances, places, axis=1)
            order = nearest.argsort(axis=1, kind="stable")
            for where, away in zip(
                np.take_along_axis(places, order, axis=1).tolist(),
                np.take_along_axis(nearest, order, axis=1).tolist(),
                strict=True,
            ):
                found.append(list(map(Neighbour, where, away)))
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

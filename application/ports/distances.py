"""Comparing many embeddings at once."""

from collections.abc import Sequence
from typing import Protocol

from domain.faces import FaceEmbedding


class Distances(Protocol):
    """Cosine distances, as :meth:`domain.faces.FaceEmbedding.cosine_distance`, between embeddings of one model."""

    def among(self, embeddings: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distances of every two of them, ascending."""

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""

    def nearest(self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding]) -> Sequence[tuple[int, float]]:
        """Return, for each probe, the place of the nearest of the gallery, which is not empty, and its distance."""

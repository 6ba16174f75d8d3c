"""Distances one by one, as the domain defines them."""

from collections.abc import Sequence
from itertools import combinations

from domain.faces import FaceEmbedding


class PlainDistances:
    """Compares as :meth:`FaceEmbedding.cosine_distance` does: slowly."""

    def among(self, embeddings: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distances of every two, ascending."""
        return sorted(one.cosine_distance(other) for one, other in combinations(embeddings, 2))

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""
        return [one.cosine_distance(other) for one, other in zip(ones, others, strict=True)]

    def nearest(self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding]) -> Sequence[tuple[int, float]]:
        """Return, for each probe, the place of the nearest of the gallery and its distance."""
        return [
            min(
                ((place, probe.cosine_distance(other)) for place, other in enumerate(gallery)), key=lambda pair: pair[1]
            )
            for probe in probes
        ]

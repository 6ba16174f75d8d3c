"""Distances one by one, as the domain defines them."""

from collections.abc import Sequence
from itertools import combinations

from application.ports.distances import Neighbour
from domain.faces import FaceEmbedding


class PlainDistances:
    """Compares as :meth:`FaceEmbedding.cosine_distance` does: slowly."""

    def near(self, embeddings: Sequence[FaceEmbedding], limit: float) -> Sequence[int]:
        """Return for each of them how many others lie at this distance or nearer."""
        pairs = [pair for pair in combinations(range(len(embeddings)), 2) if self._distance(embeddings, pair) <= limit]
        return [sum(place in pair for pair in pairs) for place in range(len(embeddings))]

    def _distance(self, embeddings: Sequence[FaceEmbedding], pair: tuple[int, int]) -> float:
        return embeddings[pair[0]].cosine_distance(embeddings[pair[1]])

    def across(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to every other at a later place than its own, ascending."""
        return sorted(one.cosine_distance(other) for place, one in enumerate(ones) for other in others[place + 1 :])

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""
        return [one.cosine_distance(other) for one, other in zip(ones, others, strict=True)]

    def nearest(
        self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding], count: int
    ) -> Sequence[Sequence[Neighbour]]:
        """Return, for each probe, so many of the gallery that are nearest to it, closest first, or all there are."""
        found = []
        for probe in probes:
            ranked = sorted((probe.cosine_distance(other), place) for place, other in enumerate(gallery))
            found.append([Neighbour(place, distance) for distance, place in ranked[:count]])
        return found

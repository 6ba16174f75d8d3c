"""Comparing many embeddings at once."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from domain.faces import FaceEmbedding


@attrs.frozen
class Neighbour:
    """One of a gallery: its place in it, and its distance to a probe."""

    place: int
    distance: float


class Distances(Protocol):
    """Cosine distances, as :meth:`domain.faces.FaceEmbedding.cosine_distance`, between embeddings of one model."""

    def near(self, embeddings: Sequence[FaceEmbedding], limit: float) -> Sequence[int]:
        """Return for each of them how many others lie at this distance or nearer.

        The distances are those of :meth:`across`, to the last digit.
        """

    def across(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to every other at a later place than its own, ascending.

        So whoever is among the ones and the others by the same place is compared with everybody else once: of ones that
        are the others, every two. There are at least as many others as ones.
        """

    def pairwise(self, ones: Sequence[FaceEmbedding], others: Sequence[FaceEmbedding]) -> Sequence[float]:
        """Return the distance of each of the ones to the other at its place."""

    def nearest(
        self, probes: Sequence[FaceEmbedding], gallery: Sequence[FaceEmbedding], count: int
    ) -> Sequence[Sequence[Neighbour]]:
        """Return, for each probe, so many of the gallery that are nearest to it, closest first, or all there are."""

"""The open-set decision: is the nearest enrolled user the person on the photograph, or nobody we know?"""

import bisect
import math
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import attrs

SMALLEST_CALIBRATED_GALLERY = 20
"""A gallery of fewer users is judged as if it had this many: it is about to grow, and few comparisons tell little."""


@attrs.frozen
class Candidate:
    """An enrolled user and the cosine distance of their template to the probe."""

    user_id: UUID
    distance: float


@attrs.frozen
class Calibration:
    """An embedder's measured impostor distances: pairs of (false match rate, cosine distance).

    One pair says: of all comparisons of two different people, that share lies at or below that distance.
    Pairs ascend in both; between them the distance is interpolated over the logarithm of the rate,
    outside them the nearest pair's distance holds.
    """

    points: tuple[tuple[float, float], ...] = attrs.field()

    @points.validator
    def _ascending(self, _attribute: object, points: Sequence[tuple[float, float]]) -> None:
        rates = [rate for rate, _ in points]
        distances = [distance for _, distance in points]
        if not points or rates != sorted(set(rates)) or distances != sorted(distances) or rates[0] <= 0:
            raise ValueError("a calibration needs pairs of rate and distance that ascend, with positive rates")

    def distance_at(self, false_match_rate: float) -> float:
        """Return the distance that this share of impostor comparisons stays at or below."""
        rates = [rate for rate, _ in self.points]
        index = bisect.bisect_left(rates, false_match_rate)
        if index == 0:
            return self.points[0][1]
        if index == len(self.points):
            return self.points[-1][1]
        (low_rate, low), (high_rate, high) = self.points[index - 1], self.points[index]
        share = math.log(false_match_rate / low_rate) / math.log(high_rate / low_rate)
        return low + share * (high - low)


class ThresholdPolicy(Protocol):
    """How far the nearest user may be."""

    def threshold(self, gallery_size: int) -> float | None:
        """Return the largest accepted cosine distance among that many users; None for no limit."""


@attrs.frozen
class FixedThreshold:
    """One distance, whatever the gallery; None accepts any distance."""

    distance: float | None

    def threshold(self, gallery_size: int) -> float | None:  # noqa: ARG002 - the port's signature
        """Return the configured distance."""
        return self.distance


@attrs.frozen
class TargetFpir:
    """The distance at which a stranger is named with probability ``fpir``, tighter as the gallery grows.

    A search among N users makes N comparisons, so FPIR = 1 - (1 - FMR)^N and the rate that each
    comparison may have is FMR = 1 - (1 - FPIR)^(1/N) (ISO/IEC 19795-1, independent comparisons).
    """

    fpir: float
    calibration: Calibration

    def threshold(self, gallery_size: int) -> float:
        """Return the largest distance that keeps the target among that many users."""
        comparisons = max(gallery_size, SMALLEST_CALIBRATED_GALLERY)
        return self.calibration.distance_at(-math.expm1(math.log1p(-self.fpir) / comparisons))


@attrs.frozen
class Comparison:
    """What a decision saw, kept so that it can be judged again: distances are cosine, smaller is closer."""

    distance: float
    threshold: float | None
    gallery_size: int
    runner_up_distance: float | None = None


@attrs.frozen
class Accepted:
    """The nearest user is within the threshold."""

    user_id: UUID
    comparison: Comparison


@attrs.frozen
class Unknown:
    """Nobody enrolled is near enough."""

    comparison: Comparison


@attrs.frozen
class NobodyEnrolled:
    """There was nobody to compare with."""


MatchDecision = Accepted | Unknown | NobodyEnrolled


def decide(candidates: Sequence[Candidate], policy: ThresholdPolicy, gallery_size: int) -> MatchDecision:
    """Judge the nearest users, closest first, of a gallery of about ``gallery_size`` users."""
    if not candidates:
        return NobodyEnrolled()
    nearest, *others = candidates
    size = max(gallery_size, len(candidates))
    comparison = Comparison(
        distance=nearest.distance,
        threshold=policy.threshold(size),
        gallery_size=size,
        runner_up_distance=others[0].distance if others else None,
    )
    if comparison.threshold is None or nearest.distance <= comparison.threshold:
        return Accepted(nearest.user_id, comparison)
    return Unknown(comparison)

"""Comparison: two photographs, a distance, and the two errors that any threshold makes of it."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import attrs

from domain.calibration import Calibration
from domain.evaluation.proportions import LEAST_COUNTED, Proportion, proportion_within, quantile

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The false match rates that are looked at."""
REFERENCE_RATE = 1e-3
"""The false match rate that groups and qualities are compared at, or the lowest measured one above it."""
_POINTS_PER_DECADE = 12
_BINS = 60


@attrs.frozen
class Genuine:
    """Two photographs of one person that were compared."""

    person: str
    distance: float


@attrs.frozen
class OperatingPoint:
    """A false match rate: the distance that has it here, and what share of a person's own pairs lies beyond.

    ``calibrated`` is the distance that the service's calibration has for the rate, and ``false_match`` the share
    of impostors who really lie at or below it here.
    """

    rate: float
    distance: float
    false_non_match: Proportion
    calibrated: float
    false_match: Proportion


def operating_points(
    impostors: Sequence[float],
    near: Callable[[float], Sequence[int]],
    genuine: Sequence[Genuine],
    calibration: Calibration,
) -> tuple[OperatingPoint, ...]:
    """Return a point for each rate that there are enough impostors for.

    ``impostors`` are the distances of different people, ascending; ``near`` tells of each of these people how many
    others are at a distance or nearer.
    """
    points = []
    for rate in RATES:
        distance, calibrated = quantile(impostors, rate, LEAST_COUNTED), calibration.distance_at(rate)
        if distance is None:
            continue
        false_match = Proportion.by_pair(near(calibrated))
        points.append(OperatingPoint(rate, distance, missed(genuine, distance), calibrated, false_match))
    return tuple(points)


def missed(genuine: Sequence[Genuine], distance: float) -> Proportion:
    """Return what share of the pairs of one person lies beyond a distance (FNMR)."""
    return Proportion.by_person((pair.person, pair.distance > distance) for pair in genuine)


def reference_point(points: Sequence[OperatingPoint]) -> OperatingPoint | None:
    """Return the point that groups and qualities are compared at; None where no rate was measured."""
    return min((point for point in points if point.rate >= REFERENCE_RATE), key=lambda point: point.rate, default=None)


@attrs.frozen
class CurvePoint:
    """Both errors at one threshold: a curve of them is drawn as DET or ROC."""

    threshold: float
    false_positive: float
    false_negative: float


def error_curve(
    impostors: Sequence[float], genuine: Iterable[float], least: int = LEAST_COUNTED
) -> tuple[CurvePoint, ...]:
    """Return the errors from the rate that so few impostors stand for up to 1, equally spaced by its logarithm.

    ``impostors`` ascend. Nothing where there is nothing to compare.
    """
    own = sorted(genuine)
    if len(impostors) < least or not own:
        return ()
    decades = math.log10(len(impostors) / least)
    steps = max(1, math.ceil(decades * _POINTS_PER_DECADE))
    rates = [10 ** (-decades * (1 - step / steps)) for step in range(steps + 1)]
    thresholds = sorted({threshold for rate in rates if (threshold := quantile(impostors, rate)) is not None})
    return tuple(
        CurvePoint(threshold, proportion_within(impostors, threshold), 1 - proportion_within(own, threshold))
        for threshold in thresholds
    )


@attrs.frozen
class Histogram:
    """How the distances are spread: the edges of the bins, and which share of each kind lies in each bin."""

    edges: tuple[float, ...]
    genuine: tuple[float, ...]
    impostor: tuple[float, ...]


def histogram(impostors: Sequence[float], genuine: Sequence[Genuine]) -> Histogram | None:
    """Return the spread of both kinds over the same bins; None where one of them is missing."""
    if not impostors or not genuine:
        return None
    own = sorted(pair.distance for pair in genuine)
    top = max(own[-1], impostors[-1])
    edges = tuple(top * number / _BINS for number in range(_BINS + 1))
    return Histogram(edges, _shares(own, edges), _shares(impostors, edges))


def _shares(ascending: Sequence[float], edges: Sequence[float]) -> tuple[float, ...]:
    """Return which share lies above each edge and not above the next; what lies below the first is in the first."""
    within = [0.0, *(proportion_within(ascending, edge) for edge in edges[1:-1]), 1.0]
    return tuple(high - low for low, high in pairwise(within))

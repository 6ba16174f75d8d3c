"""Calibrating: from distances of different people to what the service's threshold is taken from."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from domain.calibration import Calibration, Curve
from domain.decision import COHORT_EXPONENT, COHORT_SIZE
from domain.evaluation.proportions import LEAST_COUNTED, quantile

CALIBRATED_TEMPLATES: Final = (1, 2, 3, 5)
"""Of how many photographs the templates are for which a curve is measured, where there are people enough."""
_HIGHEST: Final = 0.1
_RATES: Final = tuple(float(f"{figure}e-{power}") for power in range(2, 10) for figure in (10, 5, 2))


@attrs.frozen
class MeasuredCurve:
    """The distances of photographs to other people's templates, each made of k photographs.

    ``photographs`` is k. ``people`` have such a template; ``points`` are pairs of FMR and distance, from so many
    ``comparisons``. ``cohort`` has pairs of FPIR and factor (see :class:`domain.decision.TargetFpir`), from so many
    ``searches``; it is empty where the people were too few.
    """

    photographs: int
    people: int
    comparisons: int
    points: Curve
    searches: int = 0
    cohort: Curve = ()


@attrs.frozen
class MeasuredCalibration:
    """What was measured with an embedder: curves for templates of k photographs, ascending from k = 1."""

    embedder: str
    curves: tuple[MeasuredCurve, ...] = attrs.field()

    @curves.validator
    def _usable(self, _attribute: object, curves: Sequence[MeasuredCurve]) -> None:
        photographs = [curve.photographs for curve in curves]
        if photographs != sorted(set(photographs)) or photographs[:1] != [1]:
            raise ValueError("the curves ascend by their photographs, the first is that of one")
        self.measured_only()

    def extended_by(self, usual: Calibration) -> Calibration:
        """Return what was measured and, where nothing was, the embedder's ``usual`` curves, scaled to be no looser.

        With r = measured / usual, at most 1:

        - below the lowest measured rate of a k, that k's usual curve follows, scaled by r at that rate (to hold the
          lowest measured distance would name more strangers with each further user);
        - a k that was not measured has its usual curve, scaled by the least r of k = 1 at any rate;
        - cohort factors count only where some were measured for k = 1.

        Example: usual d(1e-5, 1) = 0.0444 and d(1e-4, 1) = 0.0575; measured from 1e-4 on, d(1e-4, 1) = 0.046, so r =
        0.8. The result has d(1e-5, 1) = 0.8 * 0.0444 = 0.0355.
        """
        distances = _extended({c.photographs: c.points for c in self.curves}, {1: usual.points} | dict(usual.several))
        cohort = {curve.photographs: curve.cohort for curve in self.curves if curve.cohort}
        return Calibration(
            distances.pop(1),
            tuple(sorted(distances.items())),
            tuple(sorted(_extended(cohort, dict(usual.cohort)).items())) if 1 in cohort else (),
        )

    def measured_only(self) -> Calibration:
        """Return what was measured, and nothing else."""
        first, *others = self.curves
        cohort = tuple((curve.photographs, curve.cohort) for curve in self.curves if curve.cohort)
        return Calibration(first.points, tuple((curve.photographs, curve.points) for curve in others), cohort)


def _extended(measured: Mapping[int, Curve], usual: Mapping[int, Curve]) -> dict[int, Curve]:
    """Return a curve for each k that either has one for."""
    extended: dict[int, Curve] = {}
    if 1 in usual:
        least_ratio = min(_ratio(_value_at(usual[1], rate), value) for rate, value in measured[1])
        extended = {k: _scaled(curve, least_ratio) for k, curve in usual.items()}
    for k, curve in measured.items():
        lowest_rate, value = curve[0]
        follows = [points for fewer, points in sorted(usual.items()) if fewer <= k][-1:]
        below = [
            point for points in follows for point in _scaled(points, _ratio(_value_at(points, lowest_rate), value))
        ]
        extended[k] = tuple((rate, min(known, value)) for rate, known in below if rate < lowest_rate) + curve
    return extended


def measured_curve(photographs: int, people: int, impostors: Sequence[float]) -> MeasuredCurve | None:
    """Return the curve of distances to other people's templates, which ascend; None where they support no rate."""
    points = _supported(impostors)
    return MeasuredCurve(photographs, people, len(impostors), points) if points else None


def with_cohort(curve: MeasuredCurve, strangers: Iterable[Sequence[float]]) -> MeasuredCurve:
    """Return the curve with what searches for strangers say of the cohort.

    Each is the distances to the nearest templates of others, ascending, as many as a decision wants to see.
    """
    factors = sorted(
        _factor(nearest, others[:COHORT_SIZE]) for nearest, *others in strangers if len(others) >= COHORT_SIZE
    )
    return attrs.evolve(curve, searches=len(factors), cohort=_supported(factors))


def _supported(ascending: Sequence[float]) -> Curve:
    """Return pairs of a rate and its quantile: the value that this share lies at or below.

    Rates that fewer than ten values stand for are left out. The lowest rate is that of exactly ten.
    """
    lowest = LEAST_COUNTED / len(ascending) if ascending else 1.0
    rates = [lowest, *(rate for rate in reversed(_RATES) if rate > lowest)]
    found = ((rate, quantile(ascending, rate, LEAST_COUNTED)) for rate in rates if rate <= _HIGHEST)
    return tuple((rate, max(0.0, value)) for rate, value in found if value is not None)


def _factor(nearest: float, cohort: Sequence[float]) -> float:
    """Return the factor whose threshold, factor * m^0.6, would just name the nearest; infinite where none would."""
    mean = math.fsum(cohort) / len(cohort)
    return nearest / math.pow(mean, COHORT_EXPONENT) if mean > 0 else math.inf


def _value_at(curve: Curve, rate: float) -> float:
    """Return what is usual at a measured rate; at a lower one than is known, the lowest known value."""
    return Calibration(curve).distance_at(max(rate, curve[0][0]))


def _ratio(usual: float, measured: float) -> float:
    """Return by what the usual value is scaled to be no larger than the measured one: measured / usual, at most 1."""
    return min(1.0, measured / usual) if usual > 0 else 1.0


def _scaled(curve: Curve, ratio: float) -> Curve:
    return tuple((rate, ratio * value) for rate, value in curve)

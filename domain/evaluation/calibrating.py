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
    """The distances of photographs to other people's templates, each made of so many photographs.

    ``people`` have such a template, and ``comparisons`` stand for the ``points``. ``cohort`` has pairs of FPIR and
    factor (see :class:`domain.decision.TargetFpir`), from ``searches``; it is empty where the people were too few.
    """

    photographs: int
    people: int
    comparisons: int
    points: Curve
    searches: int = 0
    cohort: Curve = ()


@attrs.frozen
class MeasuredCalibration:
    """What was measured with an embedder: curves by the photographs that templates are made of, ascending from 1."""

    embedder: str
    curves: tuple[MeasuredCurve, ...] = attrs.field()

    @curves.validator
    def _usable(self, _attribute: object, curves: Sequence[MeasuredCurve]) -> None:
        photographs = [curve.photographs for curve in curves]
        if photographs != sorted(set(photographs)) or photographs[:1] != [1]:
            raise ValueError("the curves ascend by their photographs, the first is that of one")
        self.alone()

    def completed(self, usual: Calibration) -> Calibration:
        """Return what was measured and, below its lowest rate, what is usual for the embedder, made cautious.

        To hold the lowest distance that was measured would name more strangers with each further user. So the usual
        distances follow below it. Where the people measured are nearer to each other than usual, they are lowered in
        the same proportion; they are never raised. Templates for which nothing was measured go by the usual distances,
        lowered by the greatest proportion that templates of one photograph show. A cohort counts only where one was
        measured.
        """
        distances = _completed({c.photographs: c.points for c in self.curves}, {1: usual.points} | dict(usual.several))
        cohort = {curve.photographs: curve.cohort for curve in self.curves if curve.cohort}
        return Calibration(
            distances.pop(1),
            tuple(sorted(distances.items())),
            tuple(sorted(_completed(cohort, dict(usual.cohort)).items())) if 1 in cohort else (),
        )

    def alone(self) -> Calibration:
        """Return what was measured, and nothing else."""
        first, *others = self.curves
        cohort = tuple((curve.photographs, curve.cohort) for curve in self.curves if curve.cohort)
        return Calibration(first.points, tuple((curve.photographs, curve.points) for curve in others), cohort)


def _completed(measured: Mapping[int, Curve], usual: Mapping[int, Curve]) -> dict[int, Curve]:
    """Return a curve for each number of photographs that either has one for."""
    completed: dict[int, Curve] = {}
    if 1 in usual:
        proportion = min(_proportion(_value_at(usual[1], rate), value) for rate, value in measured[1])
        completed = {number: _lowered(curve, proportion) for number, curve in usual.items()}
    for number, curve in measured.items():
        rate, value = curve[0]
        follows = [points for fewer, points in sorted(usual.items()) if fewer <= number][-1:]
        below = [point for points in follows for point in _lowered(points, _proportion(_value_at(points, rate), value))]
        completed[number] = tuple((lower, min(known, value)) for lower, known in below if lower < rate) + curve
    return completed


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
    """Return pairs of a rate and the value that this share lies at or below.

    Rates that fewer than ten values stand for are left out. The lowest rate is that of exactly ten.
    """
    lowest = LEAST_COUNTED / len(ascending) if ascending else 1.0
    rates = [lowest, *(rate for rate in reversed(_RATES) if rate > lowest)]
    found = ((rate, quantile(ascending, rate, LEAST_COUNTED)) for rate in rates if rate <= _HIGHEST)
    return tuple((rate, max(0.0, value)) for rate, value in found if value is not None)


def _factor(nearest: float, cohort: Sequence[float]) -> float:
    """Return which factor would just name the nearest; infinite where no factor would."""
    mean = math.fsum(cohort) / len(cohort)
    return nearest / math.pow(mean, COHORT_EXPONENT) if mean > 0 else math.inf


def _value_at(curve: Curve, rate: float) -> float:
    """Return what is usual at a measured rate; at a lower one than is known, the lowest known value."""
    return Calibration(curve).distance_at(max(rate, curve[0][0]))


def _proportion(usual: float, measured: float) -> float:
    """Return by what the usual distance is multiplied to be no larger than the measured one; 1 at most."""
    return min(1.0, measured / usual) if usual > 0 else 1.0


def _lowered(curve: Curve, proportion: float) -> Curve:
    return tuple((rate, proportion * distance) for rate, distance in curve)

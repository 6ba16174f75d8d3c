"""Calibration: how near people are to other people's templates, by an embedder's measure."""

import bisect
import math
from collections.abc import Callable, Sequence

import attrs

LARGEST_GALLERY_WITH_COHORT = 1_200
"""Nobody has measured larger ones: there both rules of a target hold, and the stricter one counts."""
_USUAL_FALL = 0.7
"""By how much a distance falls with each power of ten of the rate, where that was not measured: more than usual.

``dlib`` and ``mediapipe`` fall to 0.75 to 0.81 of it, whatever the rate and the photographs.
"""
_LOWEST_RATE = 1e-15
_ROUNDING = 1e-9
_DISTANCES_OF_SEVERAL = (1.0, 0.87, 0.86)
_FACTORS_OF_SEVERAL = (1.0, 0.97, 0.94)
"""By how much curves of templates of two photographs, and of three or more, are lower than that of one.

The lowest proportion at any rate that was measured, of ``dlib`` and ``mediapipe``.
"""

Curve = tuple[tuple[float, float], ...]
"""Pairs of (rate, value), ascending in both: of a false match rate and the distance that has it, for one.

Between two pairs the value is interpolated over the logarithm of the rate, above them the highest pair's value holds.
"""
Curves = tuple[tuple[int, Curve], ...]
"""A curve for templates of so many photographs or more, by their number, ascending."""


def _ascends(curve: Curve) -> bool:
    rates = [rate for rate, _ in curve]
    values = [value for _, value in curve]
    ascending = bool(curve) and rates == sorted(set(rates)) and values == sorted(values)
    return ascending and rates[0] >= _LOWEST_RATE and all(map(math.isfinite, (*rates, *values)))


@attrs.frozen
class Calibration:
    """An embedder's measured impostor distances: how near a photograph is to somebody else's template.

    ``points`` are pairs of false match rate and cosine distance for templates of one photograph: of all comparisons of
    two different people, that share lies at or below that distance. The mean of several photographs lies nearer to
    everybody, so ``several`` has a curve for templates of so many or more. ``cohort`` has pairs of FPIR and the factor
    that keeps it (see :class:`~domain.decision.TargetFpir`), also by the number of photographs, from 1; it may be
    empty. Where nothing was measured for two photographs, or three, what is known of fewer is lowered as it is for
    other embedders; and a template of more photographs is never judged more generously.

    Below the lowest measured rate the distance goes on falling, lest a larger gallery name more strangers: each further
    power of ten makes it smaller in the same proportion as the lowest measured one does, or by 0.3 of it where no whole
    one was measured. The rate is about a power of the distance there, as that of the smallest of many distances is.
    Curves of ``several`` follow that of one.
    """

    points: Curve = attrs.field()
    several: Curves = ()
    cohort: Curves = ()

    def __attrs_post_init__(self) -> None:
        """Refuse what is not measured like that."""
        for curves in (self._distances, self.cohort):
            numbers = [number for number, _ in curves]
            if numbers != sorted(set(numbers)) or (numbers and numbers[0] != 1):
                raise ValueError("the curves of a calibration ascend by the number of photographs, from 1")
            if not all(_ascends(curve) for _, curve in curves):
                raise ValueError("a calibration needs pairs of rate and distance that ascend, with positive rates")

    @property
    def _distances(self) -> Curves:
        return ((1, self.points), *self.several)

    @property
    def lowest_fpir(self) -> float:
        """The lowest FPIR that factors were measured for, for templates of however many photographs; else infinite."""
        return max((curve[0][0] for _, curve in self.cohort), default=math.inf)

    @property
    def highest_fpir(self) -> float:
        """The highest FPIR that factors were measured for, for templates of however many photographs; else 0."""
        return min((curve[-1][0] for _, curve in self.cohort), default=0.0)

    def largest_gallery(self, fpir: float) -> int:
        """Return among how many users that FPIR can be kept by what was measured: beyond, it is extrapolated."""
        lowest = max(curve[0][0] for _, curve in self._distances)
        users = math.floor(math.log1p(-fpir) / math.log1p(-min(lowest, 0.5)) + _ROUNDING)
        return max(users, LARGEST_GALLERY_WITH_COHORT) if fpir >= self.lowest_fpir else users

    @property
    def is_one_distance(self) -> bool:
        """Whether it is a distance that was chosen, whatever the rate, and nothing was measured."""
        return self.points[0][0] == 1

    def distance_at(self, false_match_rate: float, photographs: int | None = 1) -> float:
        """Return the distance that this share of impostor comparisons stays at or below.

        ``photographs`` is what the template was made of; where that is unknown, the smallest distance holds.
        """
        lowered = (1.0,) if self.is_one_distance else _DISTANCES_OF_SEVERAL
        return _least(photographs, self._distances, lambda curve: self._distance(curve, false_match_rate), lowered)

    def cohort_factor_at(self, fpir: float, photographs: int | None = 1) -> float | None:
        """Return the factor that keeps this share of strangers, or the lowest that was measured; None without any."""
        if not self.cohort:
            return None
        return _least(photographs, self.cohort, lambda curve: _interpolated(curve, fpir), _FACTORS_OF_SEVERAL)

    def _distance(self, curve: Curve, rate: float) -> float:
        lowest, distance = curve[0]
        if rate >= lowest:
            return _interpolated(curve, rate)
        of_one = self._of_one(lowest)
        return distance * (self._of_one(rate) / of_one) if of_one else 0.0

    def _of_one(self, rate: float) -> float:
        lowest, distance = self.points[0]
        if rate >= lowest or distance <= 0 or self.is_one_distance:
            return _interpolated(self.points, rate)
        is_measured = self.points[-1][0] >= 10 * lowest * (1 - _ROUNDING)
        fall = distance / _interpolated(self.points, 10 * lowest) if is_measured else _USUAL_FALL
        return distance * math.pow(fall, math.log10(lowest / rate))


def _least(photographs: int | None, curves: Curves, value: Callable[[Curve], float], lowered: Sequence[float]) -> float:
    """Return the least value of the curves for so many photographs or fewer; of all, where the number is unknown.

    With no curve for so many, the nearest smaller one's value is scaled by ``lowered[n - 1]``, relative to its own.
    """
    wanted = max(photographs, 1) if photographs is not None else max(len(lowered), curves[-1][0])
    values = [(number, value(curve)) for number, curve in curves if number <= wanted]
    most, last = values[-1]
    proportion = lowered[min(wanted, len(lowered)) - 1] / lowered[min(most, len(lowered)) - 1]
    return min(last * proportion, *(each for _, each in values))


def _interpolated(curve: Curve, rate: float) -> float:
    index = bisect.bisect_left([known for known, _ in curve], rate)
    if index == 0:
        return curve[0][1]
    if index == len(curve):
        return curve[-1][1]
    (low_rate, low), (high_rate, high) = curve[index - 1], curve[index]
    share = math.log(rate / low_rate) / math.log(high_rate / low_rate)
    return low + share * (high - low)

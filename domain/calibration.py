"""Calibration: how near people are to other people's templates, by an embedder's measure.

Symbols, here and in :mod:`domain.decision`:

- ``N``: how many users are searched; ``k``: of how many photographs a template is made;
- ``FMR`` (false match rate): the share of comparisons of two different people that lie at or below a distance;
  ``d(FMR, k)`` is that distance, for templates of k photographs;
- ``FPIR`` (false positive identification rate): the share of strangers, each searched for among N users, who are named.

A search makes N comparisons. Taken as independent (ISO/IEC 19795-1) they give FPIR = 1 - (1 - FMR)^N, so that a target
FPIR leaves each comparison FMR = 1 - (1 - FPIR)^(1/N), about FPIR / N.

Worked example: FPIR = 0.01 with the curves of ``dlib``, which are measured down to FMR 1e-5 for k = 1 and to 3e-5 for
k = 3.

- N = 100: FMR = 1e-4, which was measured: d(1e-4, 1) = 0.0575.
- N = 10,000: FMR = 1e-6, a decade below. The lowest measured decade has d(1e-5, 1) / d(1e-4, 1) = 0.0444 / 0.0575 =
  0.772, so the next one gets d(1e-6, 1) = 0.772 * 0.0444 = 0.0343.
- The same with k = 3, which follows k = 1 below its own lowest rate: d(1e-6, 3) = d(3e-5, 3) * d(1e-6, 1) / d(3e-5, 1)
  = 0.0431 * 0.0343 / 0.05 = 0.0296.
- The same with k = 5, which has no curve: d(1e-6, 5) = d(1e-6, 3) * 0.83 / 0.86 = 0.02955 * 0.965 = 0.0285.
"""

import bisect
import math
from collections.abc import Callable, Sequence

import attrs

LARGEST_GALLERY_WITH_COHORT = 1_200
"""Nobody has measured larger ones: there both rules of a target hold, and the stricter one counts."""
_DEFAULT_DECADE_RATIO = 0.7
"""d(FMR / 10) / d(FMR) where no whole decade was measured: stricter than is usual.

It is 0.74 to 0.81 for ``dlib`` and ``mediapipe``, whatever FMR and k.
"""
_LOWEST_RATE = 1e-15
_ROUNDING = 1e-9
DISTANCE_RATIOS = (1.0, 0.87, 0.86, 0.84, 0.83, 0.83, 0.82, 0.82, 0.82, 0.8)
_FACTOR_RATIOS = (1.0, 0.97, 0.94, 0.93, 0.93, 0.92, 0.92, 0.92, 0.92, 0.91)
"""The curve for k = 1, 2, ... 9, and 10 or more, relative to that for k = 1, where it was not measured.

Measured with ``dlib`` and ``mediapipe`` on a part of Labeled Faces in the Wild: 203 people have five photographs, 148
have six, nobody has more. Distances at FMR 1e-4 and above come to at least 0.835 of those for k = 1 with k = 5, and to
0.85 with k = 6. On the same people d(FMR, k) / d(FMR, 1) is r + (1 - r) / k to within 1 %, where r is 0.81 to 0.85:
from k = 7 on the values follow that, and the last one is below r. Factors for k = 5 come to at least 0.986 of those for
k = 3.
"""

_UNKNOWN = 3
"""A template of an unknown number of photographs is judged as one of so many: few applications average more."""

Curve = tuple[tuple[float, float], ...]
"""Pairs of (rate, value), ascending in both: as of FMR and distance, or of FPIR and cohort factor.

Between two pairs the value is interpolated over the logarithm of the rate, above them the highest pair's value holds.
"""
Curves = tuple[tuple[int, Curve], ...]
"""Pairs of (k, curve), ascending: each for templates of k photographs or more, up to the next pair's."""


def _is_ascending(curve: Curve) -> bool:
    rates = [rate for rate, _ in curve]
    values = [value for _, value in curve]
    ascending = bool(curve) and rates == sorted(set(rates)) and values == sorted(values)
    return ascending and rates[0] >= _LOWEST_RATE and all(map(math.isfinite, (*rates, *values)))


@attrs.frozen
class Calibration:
    """An embedder's measured impostor distances.

    - ``points``: the curve of (FMR, cosine distance) for k = 1.
    - ``several``: such curves for k = 2 and more; the mean of several photographs lies nearer to everybody.
    - ``cohort``: curves of (FPIR, factor that keeps it) from k = 1 on, see :class:`~domain.decision.TargetFpir`; empty
      where none was measured.

    What was not measured is judged strictly:

    - k without a curve: the curve of the next smaller k, scaled by the ratio that other embedders show; and never more
      generously than any smaller k.
    - k unknown: as for three photographs, or the most that a curve was measured for.
    - FMR below the lowest measured one: each further decade scales d by the ratio of the lowest measured decade, by 0.7
      where less than one was measured; k > 1 follows k = 1. (FMR is about a power of d there, as for the smallest of
      many distances; without this, a larger gallery would name more strangers.)
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
            if not all(_is_ascending(curve) for _, curve in curves):
                raise ValueError("a calibration needs pairs of rate and distance that ascend, with positive rates")

    @property
    def _distances(self) -> Curves:
        return ((1, self.points), *self.several)

    @property
    def lowest_fpir(self) -> float:
        """The lowest FPIR that factors were measured for, whatever k; infinite without any."""
        return max((curve[0][0] for _, curve in self.cohort), default=math.inf)

    @property
    def highest_fpir(self) -> float:
        """The highest FPIR that factors were measured for, whatever k; 0 without any."""
        return min((curve[-1][0] for _, curve in self.cohort), default=0.0)

    def largest_gallery(self, fpir: float) -> int:
        """Return the N up to which this FPIR is kept by what was measured, whatever k: beyond, it is extrapolated."""
        lowest_fmr = max(curve[0][0] for _, curve in self._distances)
        users = math.floor(math.log1p(-fpir) / math.log1p(-min(lowest_fmr, 0.5)) + _ROUNDING)
        return max(users, LARGEST_GALLERY_WITH_COHORT) if fpir >= self.lowest_fpir else users

    @property
    def is_one_distance(self) -> bool:
        """Whether it is a distance that was chosen, whatever FMR and k, and nothing was measured."""
        return self.points[0][0] == 1

    def distance_at(self, false_match_rate: float, photographs: int | None = 1) -> float:
        """Return d(FMR, k), a cosine distance, for ``photographs`` = k; None: unknown."""
        ratios = (1.0,) if self.is_one_distance else DISTANCE_RATIOS
        return _strictest(photographs, self._distances, lambda curve: self._distance(curve, false_match_rate), ratios)

    def cohort_factor_at(self, fpir: float, photographs: int | None = 1) -> float | None:
        """Return the factor for this FPIR and ``photographs`` = k, or the lowest measured FPIR's; None without any."""
        if not self.cohort:
            return None
        return _strictest(photographs, self.cohort, lambda curve: _interpolated(curve, fpir), _FACTOR_RATIOS)

    def _distance(self, curve: Curve, fmr: float) -> float:
        """Return a curve's distance; below its lowest FMR it falls as the curve for k = 1 does."""
        lowest_fmr, distance = curve[0]
        if fmr >= lowest_fmr:
            return _interpolated(curve, fmr)
        from_here = self._extrapolated(lowest_fmr)
        return distance * (self._extrapolated(fmr) / from_here) if from_here else 0.0

    def _extrapolated(self, fmr: float) -> float:
        """Return d(FMR, 1), also below the lowest measured FMR."""
        lowest_fmr, distance = self.points[0]
        if fmr >= lowest_fmr or distance <= 0 or self.is_one_distance:
            return _interpolated(self.points, fmr)
        has_a_decade = self.points[-1][0] >= 10 * lowest_fmr * (1 - _ROUNDING)
        ratio = distance / _interpolated(self.points, 10 * lowest_fmr) if has_a_decade else _DEFAULT_DECADE_RATIO
        return distance * math.pow(ratio, math.log10(lowest_fmr / fmr))


def _strictest(k: int | None, curves: Curves, value: Callable[[Curve], float], ratios: Sequence[float]) -> float:
    """Return the least value of the curves for k or fewer photographs; where k is unknown, of all of them.

    Where the last of them is for fewer than k, its value is scaled by ``ratios``, those of k = 1, 2, ... to k = 1.
    """
    wanted = max(k, 1) if k is not None else max(_UNKNOWN, curves[-1][0])
    values = [(number, value(curve)) for number, curve in curves if number <= wanted]
    most, last = values[-1]
    ratio = ratios[min(wanted, len(ratios)) - 1] / ratios[min(most, len(ratios)) - 1]
    return min(last * ratio, *(each for _, each in values))


def _interpolated(curve: Curve, rate: float) -> float:
    index = bisect.bisect_left([known for known, _ in curve], rate)
    if index == 0:
        return curve[0][1]
    if index == len(curve):
        return curve[-1][1]
    (low_rate, low), (high_rate, high) = curve[index - 1], curve[index]
    share = math.log(rate / low_rate) / math.log(high_rate / low_rate)
    return low + share * (high - low)

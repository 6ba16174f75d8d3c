"""The errors that a threshold makes of comparisons."""

import pytest

from domain.calibration import Calibration
from domain.evaluation.comparison import (
    CurvePoint,
    Genuine,
    OperatingPoint,
    error_curve,
    histogram,
    missed,
    operating_points,
    reference_point,
)
from domain.evaluation.proportions import Proportion

CALIBRATION = Calibration(((1e-3, 0.05), (1e-1, 0.2)))
THOUSAND = [number / 1000 for number in range(1, 1001)]


def near(_distance: float) -> list[int]:
    """Return that of 46 people, which are 1,035 pairs, ten are near two others each."""
    return [2] * 10 + [0] * 36


def of_ann(*distances: float) -> list[Genuine]:
    """Return pairs of Ann's photographs at these distances."""
    return [Genuine("ann", distance) for distance in distances]


def test_an_operating_point() -> None:
    """The distance that the share of impostors lies at or below, and what share of genuine pairs lies beyond."""
    one, ten = sorted(
        operating_points(THOUSAND, near, of_ann(0.005, 0.01, 0.0101, 0.4), CALIBRATION), key=lambda point: point.rate
    )
    assert (one.rate, one.distance, one.false_non_match) == (1e-2, 0.01, Proportion(2, 4))
    assert (ten.rate, ten.distance, ten.false_non_match) == (1e-1, 0.1, Proportion(1, 4))
    assert (ten.calibrated, ten.false_match) == (0.2, Proportion(10, 1035))


def test_rates_that_too_few_impostors_stand_for_are_left_out() -> None:
    """Fewer than ten comparisons are no measurement, and neither are many at one and the same distance."""
    assert [point.rate for point in operating_points(THOUSAND[:99], near, [], CALIBRATION)] == []
    assert [point.rate for point in operating_points(range(10_000), near, [], CALIBRATION)] == [1e-1, 1e-2, 1e-3]
    assert operating_points([0.1] * 10_000, near, [], CALIBRATION) == ()


def test_misses_are_counted_by_person() -> None:
    """Many pairs of two people do not make the share look surer than two people can."""
    found = missed([*of_ann(*[0.4] * 50), *[Genuine("ben", 0.1)] * 50], 0.2)
    assert found == Proportion(50, 100)
    assert found.independent == 2


def test_groups_and_qualities_are_compared_at_one_rate() -> None:
    """One in a thousand, or the lowest rate above it that was measured."""

    def at(rate: float) -> OperatingPoint:
        return OperatingPoint(rate, 0.1, Proportion(0, 0), 0.1, Proportion(0, 0))

    assert reference_point([at(1e-1), at(1e-2), at(1e-3), at(1e-4)]) == at(1e-3)
    assert reference_point([at(1e-1), at(1e-2)]) == at(1e-2)
    assert reference_point([]) is None


def test_the_curve_goes_from_the_lowest_measured_rate_to_one() -> None:
    """Both errors at each distance; as one falls the other rises."""
    curve = error_curve(THOUSAND, [0.005, 0.02, 0.5, 2.0])
    assert curve[0] == CurvePoint(0.01, 0.01, 0.75)
    assert curve[-1] == CurvePoint(1.0, 1.0, 0.25)
    assert [point.false_positive for point in curve] == sorted({point.false_positive for point in curve})
    assert [point.false_negative for point in curve] == sorted((point.false_negative for point in curve), reverse=True)
    assert 20 < len(curve) < 30


def test_without_both_kinds_there_is_no_curve() -> None:
    """Too few impostors, or no photographs of one person, leave nothing to draw."""
    assert error_curve(THOUSAND[:9], [0.1]) == error_curve(THOUSAND, []) == ()
    assert histogram([], of_ann(0.1)) is None
    assert histogram(THOUSAND, []) is None


def test_a_histogram_holds_everything_once() -> None:
    """Both kinds over the same bins, each adding up to one, the nearest and the farthest included."""
    spread = histogram(THOUSAND, of_ann(-1e-17, 0.5, 2.0))
    assert spread is not None
    assert (spread.edges[0], spread.edges[-1]) == (0, 2.0)
    assert (sum(spread.genuine), sum(spread.impostor)) == pytest.approx((1, 1))
    assert (spread.genuine[0], spread.genuine[-1]) == pytest.approx((1 / 3, 1 / 3))
    assert spread.impostor[-1] == 0

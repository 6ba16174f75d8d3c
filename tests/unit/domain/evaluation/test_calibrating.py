"""From measured distances to what the threshold is taken from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calibration import Calibration
from domain.decision import COHORT_EXPONENT, SearchContext, TargetFpir
from domain.evaluation.calibrating import (
    MeasuredCalibration,
    MeasuredCurve,
    measured_curve,
    with_cohort,
)

USUAL = Calibration(
    ((1e-6, 0.02), (1e-4, 0.04), (1e-2, 0.08)), ((3, ((1e-4, 0.03), (1e-2, 0.06))),), ((1, ((0.01, 0.3), (0.1, 0.4))),)
)


def of_one(*points: tuple[float, float]) -> MeasuredCurve:
    """Return a curve of templates of one photograph."""
    return MeasuredCurve(1, 100, 4_950, points)


def test_a_curve_holds_the_rates_that_ten_comparisons_stand_for() -> None:
    """From exactly ten upwards; each distance is the largest that no more than the rate lie at or below."""
    curve = measured_curve(1, 64, [number / 10_000 for number in range(1, 2_001)])
    assert curve is not None
    assert (curve.photographs, curve.people, curve.comparisons) == (1, 64, 2_000)
    assert curve.points == ((0.005, 0.001), (0.01, 0.002), (0.02, 0.004), (0.05, 0.01), (0.1, 0.02))


@given(st.integers(0, 5_000))
def test_no_rate_is_guessed(comparisons: int) -> None:
    """Too few comparisons give no curve; else the lowest rate is what ten of them are."""
    curve = measured_curve(1, 9, range(comparisons))
    if comparisons < 100:
        assert curve is None
    else:
        assert curve is not None
        assert curve.points[0] == (10 / comparisons, 9)


def test_distances_that_are_all_the_same_say_nothing() -> None:
    """No distance has any of the rates; a rounding error below zero is no distance either."""
    assert measured_curve(1, 9, [0.1] * 1_000) is None
    curve = measured_curve(1, 9, [-1e-17] * 20 + [0.5] * 980)
    assert curve is not None
    assert curve.points == ((0.02, 0.0), (0.05, 0.0), (0.1, 0.0))


def test_the_cohort_is_measured_by_searches_for_strangers() -> None:
    """The factor that just names each; those who have not three others near are no searches."""
    searches = [[number / 1_000, 0.1, 0.2, 0.3, 0.9] for number in range(1, 201)] + [[0.01, 0.1, 0.2]]
    curve = with_cohort(of_one((0.01, 0.05)), searches)
    assert curve.searches == 200
    assert [rate for rate, _ in curve.cohort] == [0.05, 0.1]
    assert curve.cohort[0][1] == pytest.approx(0.010 / 0.2**COHORT_EXPONENT)


def test_the_worked_example() -> None:
    """As the method shows it: people nearer to each other than usual are so at rates that were not measured, too."""
    usual = Calibration(((1e-5, 0.0444), (1e-4, 0.0575)))
    own = MeasuredCalibration("m@1", (of_one((1e-4, 0.046), (1e-1, 0.2)),)).extended_by(usual)
    assert own.distance_at(1e-5) == pytest.approx(0.0355, abs=5e-5)


def test_what_was_measured_holds() -> None:
    """At and above the lowest measured rate nothing else is asked."""
    own = MeasuredCalibration("m@1", (of_one((1e-3, 0.05), (1e-1, 0.2)),)).extended_by(USUAL)
    assert (own.distance_at(1e-3), own.distance_at(1e-1), own.distance_at(0.5)) == (0.05, 0.2, 0.2)


def test_below_it_the_usual_distances_follow_lowered_in_proportion() -> None:
    """People at half the usual distance there are taken to be at half of it further down, too."""
    own = MeasuredCalibration("m@1", (of_one((1e-3, 0.03), (1e-1, 0.2)),)).extended_by(USUAL)
    assert USUAL.distance_at(1e-3) == pytest.approx(0.06)
    assert own.distance_at(1e-4) == pytest.approx(0.02)
    assert own.distance_at(1e-6) == pytest.approx(0.01)


def test_they_are_never_raised() -> None:
    """People who are farther apart than usual give no reason to be less careful where nothing was measured."""
    own = MeasuredCalibration("m@1", (of_one((1e-3, 0.12), (1e-1, 0.3)),)).extended_by(USUAL)
    assert (own.distance_at(1e-3), own.distance_at(1e-4), own.distance_at(1e-6)) == (0.12, 0.04, 0.02)


def test_templates_that_nothing_was_measured_for_are_judged_with_care() -> None:
    """By the usual distances, lowered as much as those of one photograph are where they differ most."""
    own = MeasuredCalibration("m@1", (of_one((1e-3, 0.03), (1e-2, 0.08)),)).extended_by(USUAL)
    assert own.distance_at(1e-2, 3) == pytest.approx(0.03)
    assert own.distance_at(1e-4, 3) == pytest.approx(0.015)


def test_templates_of_more_photographs_than_usual_are_known() -> None:
    """What was measured for them holds, is continued by the curve for the next fewer, and lowered for still more."""
    five = MeasuredCurve(5, 30, 2_000, ((1e-2, 0.03),))
    own = MeasuredCalibration("m@1", (of_one((1e-3, 0.06)), five)).extended_by(USUAL)
    assert own.distance_at(1e-2, 5) == 0.03
    assert own.distance_at(1e-4, 5) == pytest.approx(0.015)
    assert own.distance_at(1e-2, 4) == pytest.approx(0.06 * 0.84 / 0.86)
    assert own.distance_at(1e-2, 50) == pytest.approx(0.03 * 0.8 / 0.83)


def test_an_embedder_that_knows_one_kind_of_template_learns_others() -> None:
    """The usual curve of one photograph continues those that were measured for more."""
    three = MeasuredCurve(3, 30, 2_000, ((1e-2, 0.04),))
    own = MeasuredCalibration("m@1", (of_one((1e-2, 0.08)), three)).extended_by(Calibration(USUAL.points))
    assert own.distance_at(1e-4, 3) == pytest.approx(0.02)


def test_a_cohort_counts_where_it_was_measured() -> None:
    """Else the size of the gallery decides; below its lowest rate the usual factors follow, lowered."""
    without = MeasuredCalibration("m@1", (of_one((1e-3, 0.06)),)).extended_by(USUAL)
    assert without.cohort == ()
    measured = MeasuredCurve(1, 200, 19_900, ((1e-3, 0.06),), 200, ((0.1, 0.2),))
    own = MeasuredCalibration("m@1", (measured,)).extended_by(USUAL)
    assert own.cohort_factor_at(0.1) == 0.2
    assert own.cohort_factor_at(0.01) == pytest.approx(0.15)


@pytest.mark.parametrize(
    "curves",
    [
        (),
        (MeasuredCurve(2, 9, 9, ((0.1, 0.1),)),),
        (of_one((0.1, 0.1)), of_one((0.1, 0.1))),
        (of_one(),),
        (of_one((0.1, 0.1), (0.2, 0.05)),),
        (of_one((0.0, 0.1)),),
    ],
)
def test_what_is_no_calibration_is_refused(curves: tuple[MeasuredCurve, ...]) -> None:
    """Curves or pairs out of order, or none."""
    with pytest.raises(ValueError, match="ascend"):
        MeasuredCalibration("m@1", curves)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6), st.floats(1e-6, 0.09), st.integers(1, 5))
def test_a_completed_calibration_tightens_with_the_gallery(distances: list[float], rate: float, number: int) -> None:
    """Whatever was measured, more users never loosen the threshold."""
    points = tuple((rate * 1.5**turn, distance) for turn, distance in enumerate(sorted(distances)))
    own = MeasuredCalibration("m@1", (of_one(*points),)).extended_by(Calibration(USUAL.points, USUAL.several))
    policy = TargetFpir(0.01, own)
    found = [policy.threshold(SearchContext(users, number)) for users in (1, 20, 500, 10_000, 1_000_000)]
    assert found == sorted(found, reverse=True)

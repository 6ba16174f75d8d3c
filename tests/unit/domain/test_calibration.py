"""How near people are to other people's templates, between and beyond what was measured."""

import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.vision.calibrations import IMPOSTORS_OF_DLIB
from domain.calibration import LARGEST_GALLERY_WITH_COHORT, Calibration, Curve, Curves
from domain.decision import Accepted, Candidate, SearchContext, TargetFpir, Unknown, decide

CALIBRATION = Calibration(((1e-6, 0.02), (1e-4, 0.05), (1e-2, 0.09)))
SEVERAL = Calibration(((1e-4, 0.05), (1e-2, 0.09)), several=((2, ((1e-4, 0.04), (1e-2, 0.08))), (3, ((1e-4, 0.03),))))


@pytest.mark.parametrize(
    ("users", "photographs", "expected"),
    [(100, 1, 0.0575), (10_000, 1, 0.0343), (10_000, 3, 0.0296), (10_000, 5, 0.0285)],
)
def test_the_worked_example_of_the_calibration(users: int, photographs: int, expected: float) -> None:
    """As the module shows it step by step."""
    threshold = TargetFpir(0.01, IMPOSTORS_OF_DLIB).threshold(SearchContext(users, photographs))
    assert threshold == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("users", "expected"), [(50, 0.0618), (1_000, 0.0523), (2_000, 0.0411)])
def test_the_worked_example_of_the_two_rules(users: int, expected: float) -> None:
    """By size among few, by the cohort among many, by the stricter of both among more than were measured."""
    threshold = TargetFpir(0.01, IMPOSTORS_OF_DLIB).threshold(SearchContext(users, 1, (0.08, 0.08, 0.08)))
    assert threshold == pytest.approx(expected, abs=1e-4)


@given(st.floats(0.01, 0.999))
def test_above_what_was_measured_the_largest_distance_holds(rate: float) -> None:
    """Nobody is named at a distance that nobody has measured."""
    assert CALIBRATION.distance_at(rate) == 0.09


@pytest.mark.parametrize(("rate", "distance"), [(1e-6, 0.04), (1e-7, 0.032), (1e-8, 0.0256), (1e-9, 0.02048)])
def test_below_what_was_measured_each_power_of_ten_makes_the_distance_smaller(rate: float, distance: float) -> None:
    """In the same proportion as the lowest measured one, whatever the nearest pairs are: chance had a hand in those."""
    points = ((1e-6, 0.04), (1.01e-6, 0.04), (1e-5, 0.05), (1e-4, 0.09))
    assert Calibration(points).distance_at(rate) == pytest.approx(distance)


@pytest.mark.parametrize("points", [((1e-2, 0.4),), ((1e-2, 0.4), (2e-2, 0.4)), ((1e-2, 0.4), (9e-2, 0.5))])
def test_a_curve_of_less_than_a_power_of_ten_falls_more_than_is_usual(points: Curve) -> None:
    """Of one pair, or of few people, it is not known how it falls: a larger gallery must not name more strangers."""
    calibration = Calibration(points)
    assert calibration.distance_at(1e-2) == 0.4
    assert calibration.distance_at(1e-3) == pytest.approx(0.7 * 0.4)
    assert calibration.distance_at(1e-5) == pytest.approx(0.7**3 * 0.4)


@pytest.mark.parametrize(("photographs", "proportion"), [(3, 1.0), (9, 0.82 / 0.86), (None, 1.0)])
def test_below_what_was_measured_templates_of_several_follow_those_of_one(
    photographs: int | None, proportion: float
) -> None:
    """Their own lowest rate is higher, for they are fewer."""
    calibration = Calibration(((1e-6, 0.04), (1e-5, 0.05), (1e-4, 0.07)), several=((3, ((1e-5, 0.03), (1e-4, 0.06))),))
    assert calibration.distance_at(1e-5, photographs) == pytest.approx(0.03 * proportion)
    assert calibration.distance_at(1e-6, photographs) == pytest.approx(0.024 * proportion)
    assert calibration.distance_at(1e-7, photographs) == pytest.approx(0.0192 * proportion)


@pytest.mark.parametrize(
    ("photographs", "proportion"), [(1, 1.0), (2, 0.87), (3, 0.86), (5, 0.83), (50, 0.8), (None, 0.86)]
)
def test_templates_of_several_that_nobody_measured_are_judged_more_strictly(
    photographs: int | None, proportion: float
) -> None:
    """Otherwise several times as many strangers would be named by them as are meant to be; a chosen distance stays."""
    calibration = Calibration(CALIBRATION.points, cohort=((1, ((0.01, 0.25),)),))
    assert calibration.distance_at(1e-3, photographs) == pytest.approx(proportion * calibration.distance_at(1e-3))
    factor = {1.0: 1.0, 0.87: 0.97, 0.86: 0.94, 0.83: 0.93, 0.8: 0.91}[proportion]
    assert calibration.cohort_factor_at(0.01, photographs) == pytest.approx(0.25 * factor)
    assert Calibration(((1.0, 0.4),)).distance_at(1e-3, photographs) == 0.4


@pytest.mark.parametrize("photographs", [3, 9, None])
def test_more_photographs_are_never_judged_more_generously(photographs: int | None) -> None:
    """Where those of three were measured on other people than those of two, and came out farther apart."""
    calibration = Calibration(CALIBRATION.points, several=((2, ((1e-3, 0.02),)), (3, ((1e-3, 0.05),))))
    assert calibration.distance_at(1e-3, photographs) == 0.02


@pytest.mark.parametrize("points", [((1e-3, 0.0),), ((1e-3, 0.0), (1e-2, 0.0)), ((1e-3, 0.0), (1e-2, 0.1))])
def test_below_no_distance_at_all_there_is_none(points: Curve) -> None:
    """Two people with the same vector, such as one who is enrolled twice, leave no room for a threshold."""
    assert Calibration(points, several=((2, ((1e-2, 0.1),)),)).distance_at(1e-6, None) == 0.0


def test_a_calibration_is_interpolated_over_the_logarithm_of_the_rate() -> None:
    """Half-way between 1e-4 and 1e-2 is 1e-3."""
    assert CALIBRATION.distance_at(1e-3) == pytest.approx(0.07)


@pytest.mark.parametrize("points", [(), ((0.1, 0.2), (0.01, 0.3)), ((0.1, 0.3), (0.2, 0.2)), ((0.0, 0.1),)])
def test_a_calibration_that_does_not_ascend_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    """Pairs out of order, or a rate of zero, are a mistake in the calibration."""
    with pytest.raises(ValueError, match="ascend"):
        Calibration(points)


@pytest.mark.parametrize(
    ("photographs", "expected"),
    [(0, 0.05), (1, 0.05), (2, 0.04), (3, 0.03), (5, 0.03 * 0.83 / 0.86), (50, 0.0279), (None, 0.03)],
)
def test_templates_of_several_photographs_have_their_own_curve(photographs: int | None, expected: float) -> None:
    """Of more than were measured they are judged more strictly than those; of an unknown number as those of three."""
    assert SEVERAL.distance_at(1e-4, photographs) == pytest.approx(expected, abs=1e-5)
    policy = TargetFpir(0.01, SEVERAL)
    candidate = Candidate(UUID(int=1), 0.035, photographs)
    decision = decide([candidate], policy, 100)
    assert isinstance(decision, Accepted if expected > 0.035 else Unknown)


@pytest.mark.parametrize("several", [((1, SEVERAL.points),), ((3, SEVERAL.points), (2, SEVERAL.points)), ((2, ()),)])
def test_curves_of_several_that_do_not_ascend_are_refused(several: Curves) -> None:
    """Their numbers begin with two, and each is a curve."""
    with pytest.raises(ValueError, match="ascend"):
        Calibration(SEVERAL.points, several)


@pytest.mark.parametrize("cohort", [((2, SEVERAL.points),), ((1, ()),), ((1, ((0.1, 0.2), (0.2, 0.1))),)])
def test_a_cohort_s_curves_are_curves_from_one_photograph(cohort: Curves) -> None:
    """Otherwise templates of one photograph would have none."""
    with pytest.raises(ValueError, match="ascend"):
        Calibration(SEVERAL.points, cohort=cohort)


@pytest.mark.parametrize("points", [((0.01, math.nan),), ((0.01, math.inf),), ((1e-320, 0.1),), ((math.nan, 0.1),)])
def test_a_calibration_of_no_numbers_is_refused(points: Curve) -> None:
    """What cannot be compared would let everybody pass."""
    with pytest.raises(ValueError, match="ascend"):
        Calibration(points)


@pytest.mark.parametrize(("rate", "expected"), [(1e-3, 10), (1e-6, 10_050), (0.01, 1), (0.1, 0), (1.0, 0)])
def test_the_largest_gallery_that_was_measured_for(rate: float, expected: int) -> None:
    """So many users may have the lowest rate each to keep one in a hundred strangers named."""
    assert Calibration(((rate, 0.1),)).largest_gallery(0.01) == expected


def test_the_templates_and_the_cohort_of_which_least_is_known_say_how_many_users_may_be() -> None:
    """Whichever templates a gallery has; with the cohort no fewer than it was measured among."""
    points, three = ((1e-6, 0.1),), ((3, ((1e-3, 0.1),)),)
    assert Calibration(points, three).largest_gallery(0.01) == 10
    cohort = Calibration(points, three, cohort=((1, ((0.01, 0.2),)),))
    assert (cohort.largest_gallery(0.01), cohort.largest_gallery(0.001)) == (LARGEST_GALLERY_WITH_COHORT, 1)

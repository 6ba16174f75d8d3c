"""The open-set decision."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import (
    SMALLEST_CALIBRATED_GALLERY,
    Accepted,
    Calibration,
    Candidate,
    FixedThreshold,
    NobodyEnrolled,
    TargetFpir,
    Unknown,
    decide,
)

ANN, BEN = UUID(int=1), UUID(int=2)
CALIBRATION = Calibration(((1e-6, 0.02), (1e-4, 0.05), (1e-2, 0.09)))


def test_nobody_enrolled_is_not_the_same_as_nobody_near() -> None:
    """An empty gallery has an outcome of its own."""
    assert decide([], FixedThreshold(0.1), 0) == NobodyEnrolled()


def test_the_threshold_itself_is_accepted() -> None:
    """A distance equal to the threshold is within it."""
    decision = decide([Candidate(ANN, 0.1), Candidate(BEN, 0.3)], FixedThreshold(0.1), 50)
    assert isinstance(decision, Accepted)
    assert decision.user_id == ANN
    assert decision.comparison.runner_up_distance == 0.3
    assert decision.comparison.gallery_size == 50


def test_beyond_the_threshold_nobody_is_named() -> None:
    """The nearest user is not named when they are farther than the threshold."""
    decision = decide([Candidate(ANN, 0.100001)], FixedThreshold(0.1), 50)
    assert isinstance(decision, Unknown)
    assert decision.comparison.distance == 0.100001


def test_no_threshold_names_the_nearest_however_far() -> None:
    """The setting ``none`` accepts any distance."""
    assert isinstance(decide([Candidate(ANN, 1.9)], FixedThreshold(None), 1), Accepted)


def test_a_stale_count_is_never_less_than_who_was_found() -> None:
    """A gallery count from before an enrolment does not make the gallery smaller than the candidates."""
    decision = decide([Candidate(ANN, 0.1), Candidate(BEN, 0.2)], FixedThreshold(None), 0)
    assert isinstance(decision, Accepted)
    assert decision.comparison.gallery_size == 2


def test_target_fpir_is_the_rate_over_the_gallery() -> None:
    """With N comparisons each may err with 1-(1-FPIR)^(1/N): 1 % over 100 users is about 1e-4 for each."""
    assert TargetFpir(0.01, CALIBRATION).threshold(100) == pytest.approx(0.05, abs=1e-4)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_larger_gallery_is_never_judged_more_loosely(one: int, other: int) -> None:
    """The threshold tightens as the gallery grows."""
    policy = TargetFpir(0.01, CALIBRATION)
    assert policy.threshold(max(one, other)) <= policy.threshold(min(one, other))


def test_a_tiny_gallery_is_judged_like_a_small_one() -> None:
    """Below the smallest calibrated gallery the threshold does not loosen any more."""
    policy = TargetFpir(0.01, CALIBRATION)
    assert policy.threshold(1) == policy.threshold(SMALLEST_CALIBRATED_GALLERY)


@given(st.floats(1e-9, 0.999))
def test_a_calibration_never_leaves_what_was_measured(rate: float) -> None:
    """Outside the measured rates the nearest measured distance holds, with no extrapolation."""
    assert 0.02 <= CALIBRATION.distance_at(rate) <= 0.09


def test_a_calibration_is_interpolated_over_the_logarithm_of_the_rate() -> None:
    """Half-way between 1e-4 and 1e-2 is 1e-3."""
    assert CALIBRATION.distance_at(1e-3) == pytest.approx(0.07)


@pytest.mark.parametrize("points", [(), ((0.1, 0.2), (0.01, 0.3)), ((0.1, 0.3), (0.2, 0.2)), ((0.0, 0.1),)])
def test_a_calibration_that_does_not_ascend_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    """Pairs out of order, or a rate of zero, are a mistake in the calibration."""
    with pytest.raises(ValueError, match="ascend"):
        Calibration(points)

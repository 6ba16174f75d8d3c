"""The open-set decision."""

import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calibration import LARGEST_GALLERY_WITH_COHORT, Calibration
from domain.decision import (
    SMALLEST_CALIBRATED_GALLERY,
    SMALLEST_GALLERY_WITH_COHORT,
    Accepted,
    Candidate,
    FixedThreshold,
    NobodyEnrolled,
    SearchContext,
    TargetFpir,
    ThresholdPolicy,
    Unknown,
    decide,
)

ANN, BEN = UUID(int=1), UUID(int=2)
CALIBRATION = Calibration(((1e-6, 0.02), (1e-4, 0.05), (1e-2, 0.09)))


def test_nobody_enrolled_is_not_the_same_as_nobody_near() -> None:
    """An empty gallery has an outcome of its own."""
    assert decide([], FixedThreshold(0.1), 0) == NobodyEnrolled()


@pytest.mark.parametrize("policy", [FixedThreshold(0.0), TargetFpir(0.01, Calibration(((1.0, 0.0),)))])
def test_a_threshold_of_nothing_names_nobody(policy: ThresholdPolicy) -> None:
    """Not even at no distance: an embedder that sees nothing takes everybody for everybody."""
    everybody = [Candidate(ANN, 0.0), Candidate(BEN, 0.0)]
    assert isinstance(decide(everybody, policy, 2), Unknown)
    assert isinstance(decide(everybody, FixedThreshold(None), 2), Accepted)


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
    assert TargetFpir(0.01, CALIBRATION).threshold(SearchContext(100)) == pytest.approx(0.05, abs=1e-4)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_larger_gallery_is_never_judged_more_loosely(one: int, other: int) -> None:
    """The threshold tightens as the gallery grows."""
    policy = TargetFpir(0.01, CALIBRATION)
    assert policy.threshold(SearchContext(max(one, other))) <= policy.threshold(SearchContext(min(one, other)))


def test_a_tiny_gallery_is_judged_like_a_small_one() -> None:
    """Below the smallest calibrated gallery the threshold does not loosen any more."""
    policy = TargetFpir(0.01, CALIBRATION)
    assert policy.threshold(SearchContext(1)) == policy.threshold(SearchContext(SMALLEST_CALIBRATED_GALLERY))


def test_one_distance_for_all_galleries_stays_what_it_is() -> None:
    """A calibration of one pair tells nothing of others."""
    assert Calibration(((1.0, 0.4),)).distance_at(1e-9) == 0.4


COHORT = Calibration(CALIBRATION.points, cohort=((1, ((0.001, 0.2), (0.01, 0.25))), (2, ((0.001, 0.15), (0.01, 0.2)))))
MANY = SMALLEST_GALLERY_WITH_COHORT


@pytest.mark.parametrize(
    ("photographs", "factor"), [(1, 0.25), (2, 0.2), (5, 0.2 * 0.93 / 0.97), (None, 0.2 * 0.94 / 0.97)]
)
def test_in_a_large_gallery_the_threshold_follows_the_cohort(photographs: int | None, factor: float) -> None:
    """It is the factor times the mean distance of the next three to the power of 0.6, however many users there are."""
    policy = TargetFpir(0.01, COHORT)
    for size in (MANY, LARGEST_GALLERY_WITH_COHORT):
        search = SearchContext(size, photographs, (0.04, 0.05, 0.06))
        assert policy.threshold(search) == pytest.approx(factor * 0.05**0.6)


@given(st.lists(st.floats(0, 2), min_size=3, max_size=3).map(sorted), st.integers(0, 2))
def test_the_nearer_the_cohort_the_stricter_the_threshold(others: list[float], nearer: int) -> None:
    """Look-alikes make it stricter; strangers to everybody never make it looser than among twenty users."""
    policy = TargetFpir(0.01, COHORT)
    threshold = policy.threshold(SearchContext(MANY, 1, tuple(others)))
    others[nearer] /= 2
    assert policy.threshold(SearchContext(MANY, 1, tuple(sorted(others)))) <= threshold
    assert 0 <= threshold <= policy.threshold(SearchContext(1))


@pytest.mark.parametrize(
    ("size", "others", "calibration"),
    [
        (MANY - 1, (0.04, 0.05, 0.06), COHORT),
        (MANY, (0.04, 0.05), COHORT),
        (MANY, (0.04, 0.05, 0.06), CALIBRATION),
    ],
)
def test_without_a_cohort_the_size_of_the_gallery_decides(
    size: int, others: tuple[float, ...], calibration: Calibration
) -> None:
    """Where users are few, or nobody has measured it."""
    assert TargetFpir(0.01, calibration).threshold(SearchContext(size, 1, others)) == TargetFpir(
        0.01, CALIBRATION
    ).threshold(SearchContext(size))


def test_a_decision_tells_the_policy_of_the_cohort() -> None:
    """The distances of those next to the nearest, without the nearest."""
    users = [Candidate(UUID(int=number), distance, 1) for number, distance in enumerate((0.03, 0.04, 0.05, 0.06))]
    decision = decide(users, TargetFpir(0.01, COHORT), MANY)
    assert isinstance(decision, Accepted)
    comparison = decision.comparison
    assert comparison.threshold == pytest.approx(0.25 * 0.05**0.6)
    assert comparison.runner_up_distance == 0.04


@pytest.mark.parametrize(("second", "accepted"), [(0.1201, True), (0.12, False), (None, True)])
def test_a_second_user_within_the_margin_leaves_it_open(second: float | None, accepted: bool) -> None:  # noqa: FBT001
    """Nobody is named where two are about equally near, and the answer says so; a single user has no rival."""
    candidates = [Candidate(ANN, 0.0), *([Candidate(BEN, second)] if second is not None else [])]
    decision = decide(candidates, FixedThreshold(0.3), 9, margin=0.12)
    assert isinstance(decision, Accepted) is accepted
    assert isinstance(decision, Unknown) is not accepted
    if isinstance(decision, Unknown):
        assert decision.ambiguous


@pytest.mark.parametrize("policy", [FixedThreshold(0.3), TargetFpir(0.01, CALIBRATION)])
@pytest.mark.parametrize("second", [0.03, math.nextafter(0.03, 1), 0.0300009])
def test_of_two_users_at_the_same_distance_neither_is_named(policy: ThresholdPolicy, second: float) -> None:
    """Nothing but rounding tells them apart, so a name would be a guess; a larger difference does."""
    decision = decide([Candidate(ANN, 0.03), Candidate(BEN, second)], policy, 9)
    assert isinstance(decision, Unknown)
    assert (decision.ambiguous, decision.comparison.runner_up_distance) == (True, second)
    assert isinstance(decide([Candidate(ANN, 0.03), Candidate(BEN, 0.030002)], policy, 9), Accepted)


def test_without_a_threshold_the_first_of_two_at_the_same_distance_is_named() -> None:
    """There the nearest is recorded whatever the distance, unless a margin asks for a difference."""
    same = [Candidate(ANN, 0.03), Candidate(BEN, 0.03)]
    decision = decide(same, FixedThreshold(None), 9)
    assert isinstance(decision, Accepted)
    assert decision.user_id == ANN
    assert isinstance(decide(same, FixedThreshold(None), 9, margin=0.001), Unknown)


def test_the_margin_does_not_matter_beyond_the_threshold() -> None:
    """Who is too far away is unknown, not ambiguous."""
    decision = decide([Candidate(ANN, 0.4), Candidate(BEN, 0.4)], FixedThreshold(0.3), 9, margin=0.1)
    assert isinstance(decision, Unknown)
    assert (decision.ambiguous, "threshold" in decision.detail) == (False, True)


@pytest.mark.parametrize("size", [LARGEST_GALLERY_WITH_COHORT + 1, 10**6])
def test_in_galleries_that_nobody_has_measured_the_stricter_rule_counts(size: int) -> None:
    """However far away the cohort is, the threshold is no looser than by the size alone."""
    by_size = TargetFpir(0.01, CALIBRATION).threshold(SearchContext(size))
    assert TargetFpir(0.01, COHORT).threshold(SearchContext(size, 1, (0.5, 0.5, 0.5))) == by_size
    assert TargetFpir(0.01, COHORT).threshold(SearchContext(size, 1, (0.001, 0.001, 0.001))) < by_size


@given(st.integers(LARGEST_GALLERY_WITH_COHORT + 1, 10**6), st.data(), st.floats(1e-4, 0.5), st.floats(0.0, 0.6))
def test_a_large_gallery_that_has_shrunk_since_it_was_counted_is_never_judged_more_loosely(
    counted: int, data: st.DataObject, fpir: float, mean: float
) -> None:
    """Whichever rule holds for those who are left."""
    left = data.draw(st.integers(0, counted))
    policy, others = TargetFpir(fpir, COHORT), (mean, mean, mean)
    by_the_count = policy.threshold(SearchContext(counted, 1, others))
    assert by_the_count <= policy.threshold(SearchContext(left, 1, others))


def test_for_a_share_smaller_than_was_measured_the_stricter_rule_counts() -> None:
    """The factor of a larger share alone would name more strangers than are wanted; and no lower target is looser."""
    near, far = SearchContext(MANY, 1, (0.001, 0.001, 0.001)), SearchContext(MANY, 1, (0.5, 0.5, 0.5))
    lowest = COHORT.lowest_fpir
    assert COHORT.cohort_factor_at(lowest / 2) == COHORT.cohort_factor_at(lowest)
    assert TargetFpir(lowest / 2, COHORT).threshold(near) == TargetFpir(lowest, COHORT).threshold(near)
    assert TargetFpir(lowest / 2, COHORT).threshold(far) == TargetFpir(lowest / 2, CALIBRATION).threshold(far)


def test_for_a_share_larger_than_was_measured_the_looser_rule_counts() -> None:
    """The factor of a smaller share alone would miss users where mistakes are allowed; the size tells of all shares."""
    near, far = SearchContext(MANY, 1, (0.001, 0.001, 0.001)), SearchContext(MANY, 1, (0.5, 0.5, 0.5))
    by_size = TargetFpir(0.5, CALIBRATION).threshold(SearchContext(MANY))
    assert TargetFpir(COHORT.highest_fpir, COHORT).threshold(near) < by_size
    assert TargetFpir(0.5, COHORT).threshold(near) == by_size
    assert TargetFpir(0.5, COHORT).threshold(far) > by_size


@given(st.floats(1e-4, 0.2), st.floats(1e-4, 0.2), st.integers(1, 10_000), st.floats(0.0, 0.6))
def test_a_lower_target_never_names_more(one: float, other: float, users: int, mean: float) -> None:
    """Among however many users, and however near they are to each other."""
    lower, higher = sorted((one, other))
    search = SearchContext(users, 1, (mean, mean, mean))
    assert TargetFpir(lower, COHORT).threshold(search) <= TargetFpir(higher, COHORT).threshold(search)


def test_a_threshold_that_is_no_number_accepts_nobody() -> None:
    """Whatever it comes from."""
    assert isinstance(decide([Candidate(ANN, 0.1)], FixedThreshold(math.nan), 1), Unknown)

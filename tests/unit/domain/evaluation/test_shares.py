"""Shares and their intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evaluation.shares import Share


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_of_a_share(count: int, total: int, low: float, high: float) -> None:
    """Wilson's, by the figures of the textbook; of nothing, nothing is known."""
    assert Share(count, total).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_a_share_lies_in_its_interval(count: int, total: int) -> None:
    """And the interval between 0 and 1."""
    share = Share(min(count, total), total)
    low, high = share.interval
    assert share.value is not None
    assert 0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1


def test_a_share_of_nothing_is_none() -> None:
    """Not zero, and no error."""
    assert Share(0, 0).value is None


def test_photographs_of_one_person_tell_less_than_those_of_several() -> None:
    """Ten people who each fail always or never stand for ten independent ones, not for a hundred."""
    alike = Share.by_person((str(person), person < 3) for person in range(10) for _ in range(10))
    assert (alike, alike.value) == (Share(30, 100), 0.3)
    assert alike.independent == pytest.approx(9)
    low, high = Share(30, 100).interval
    assert alike.interval[0] < low
    assert high < alike.interval[1]


def test_people_who_do_not_differ_count_by_their_photographs() -> None:
    """Where each person fails about as often, photographs are as good as independent."""
    each = [Share.by_person((str(number), outcome) for number, outcome in enumerate([True, False] * 50))]
    assert each[0].independent == pytest.approx(99)
    assert each[0].interval == pytest.approx(Share(50, 100).interval, abs=0.001)


@pytest.mark.parametrize("outcome", [True, False])
def test_where_all_outcomes_are_the_same_each_person_counts_once(*, outcome: bool) -> None:
    """A hundred photographs of four people without an error are no proof of one in a hundred."""
    found = Share.by_person((str(number % 4), outcome) for number in range(100))
    assert found.independent == 4
    assert Share.by_person([("ann", outcome)] * 50).independent == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())))
def test_a_share_by_person_counts_every_outcome(outcomes: list[tuple[str, bool]]) -> None:
    """Nothing is lost, its interval holds it, and it never claims more than its outcomes."""
    found = Share.by_person(outcomes)
    assert found == Share(sum(outcome for _, outcome in outcomes), len(outcomes))
    low, high = found.interval
    assert 0 <= low <= high <= 1
    assert found.value is None or low - 1e-12 <= found.value <= high + 1e-12
    assert (found.independent or 0) <= len(outcomes)

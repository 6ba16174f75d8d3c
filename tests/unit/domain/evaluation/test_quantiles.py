"""Looking into many distances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evaluation.proportions import proportion_within, quantile


@pytest.mark.parametrize(("rate", "expected"), [(0.009, None), (0.01, 1), (0.029, 2), (0.07, 7), (1.0, 100)])
def test_the_distance_of_a_rate(rate: float, expected: float | None) -> None:
    """So many lie at or below it, and no more; None where that would be nobody."""
    assert quantile(range(1, 101), rate) == expected


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4])), st.floats(0, 1))
def test_no_more_than_the_rate_lies_within(distances: list[float], rate: float) -> None:
    """Equal distances are all below or all above, so that a rate is never exceeded."""
    ascending = sorted(distances)
    found = quantile(ascending, rate)
    if found is not None:
        assert proportion_within(ascending, found) <= rate + 1e-9


def test_fewer_than_are_asked_for_are_no_measurement() -> None:
    """Ten of a thousand stand for one in a hundred, nine do not."""
    assert quantile(range(1000), 0.01, least=10) == 9
    assert quantile(range(999), 0.01, least=10) is None


def test_nothing_lies_within_nothing() -> None:
    """A share of nothing is zero, and it has no distance."""
    assert (proportion_within([], 1.0), quantile([], 1.0)) == (0.0, None)

"""Shares and their intervals."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.evaluation.proportions import Proportion


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_of_a_share(count: int, total: int, low: float, high: float) -> None:
    """Wilson's, by the figures of the textbook; of nothing, nothing is known."""
    assert Proportion(count, total).interval == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("total", "least"), [(0, 1.0), (10, 0.27753), (380, 0.01001), (381, 0.00998)])
def test_what_so_many_could_show_at_best(total: int, least: float) -> None:
    """However many of them were counted: 380 are too few to show that one in a hundred is kept."""
    assert Proportion(total // 2, total).least_to_show == pytest.approx(least, abs=1e-5)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_a_share_lies_in_its_interval(count: int, total: int) -> None:
    """And the interval between 0 and 1."""
    share = Proportion(min(count, total), total)
    low, high = share.interval
    assert share.value is not None
    assert 0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1


def test_a_share_of_nothing_is_none() -> None:
    """Not zero, and no error."""
    assert Proportion(0, 0).value is None


def test_photographs_of_one_person_tell_less_than_those_of_several() -> None:
    """Ten people who each fail always or never stand for ten independent ones, not for a hundred."""
    alike = Proportion.by_person((str(person), person < 3) for person in range(10) for _ in range(10))
    assert (alike, alike.value) == (Proportion(30, 100), 0.3)
    assert alike.independent == 10
    low, high = Proportion(30, 100).interval
    assert alike.interval[0] < low
    assert high < alike.interval[1]


def test_people_who_do_not_differ_count_by_their_photographs() -> None:
    """Where each person fails about as often, photographs are as good as independent."""
    each = [Proportion.by_person((str(number), outcome) for number, outcome in enumerate([True, False] * 50))]
    assert each[0].independent == pytest.approx(99)
    assert each[0].interval == pytest.approx(Proportion(50, 100).interval, abs=0.001)


@pytest.mark.parametrize("outcome", [True, False])
def test_where_all_outcomes_are_the_same_each_person_counts_once(*, outcome: bool) -> None:
    """A hundred photographs of four people without an error are no proof of one in a hundred."""
    found = Proportion.by_person((str(number % 4), outcome) for number in range(100))
    assert found.independent == 4
    assert Proportion.by_person([("ann", outcome)] * 50).independent == 1


def test_one_error_does_not_make_a_share_surer_than_none() -> None:
    """Of ten people with a hundred photographs each; how far people differ, nobody can tell by the first few errors."""
    limits = [
        Proportion.by_person(
            (str(person), person < errors and not number) for person in range(10) for number in range(100)
        )
        for errors in range(10)
    ]
    assert limits[0].interval[1] == pytest.approx(0.2775, abs=1e-4)
    assert limits[1].interval[1] == pytest.approx(0.279, abs=1e-3)
    assert {share.independent for share in limits} == {10}


def test_how_far_people_differ_counts_once_ten_of_them_have_an_error() -> None:
    """Twelve of thirty who fail always are about thirty independent ones; failing once of ten tells much more."""
    always = Proportion.by_person((str(person), person < 12) for person in range(30) for _ in range(10))
    once = Proportion.by_person(
        (str(person), person < 12 and not number) for person in range(30) for number in range(10)
    )
    assert always.independent == pytest.approx(29)
    assert once.independent == pytest.approx(300)


def test_errors_that_are_all_of_one_person_are_hardly_more_than_one() -> None:
    """A thousand people and fifty photographs of one of them, on whom all is wrong: as of one in twenty-one."""
    found = Proportion.by_person([(str(person), False) for person in range(1000)] + [("ann", True)] * 50)
    assert found.independent == 1050 / 50


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=40), st.data())
def test_the_upper_limit_does_not_fall_when_an_error_is_added(people: list[list[bool]], data: st.DataObject) -> None:
    """As long as fewer than ten people have errors, which are the rarer outcome; whoever the next is of."""

    def share() -> Proportion:
        return Proportion.by_person((str(name), outcome) for name, own in enumerate(people) for outcome in own)

    right = [(person, place) for person, own in enumerate(people) for place, wrong in enumerate(own) if not wrong]
    assume(2 * len(right) > sum(map(len, people)) + 1)
    person, place = data.draw(st.sampled_from(right))
    before = share()
    people[person][place] = True
    assume(sum(map(any, people)) < 10)
    assert share().interval[1] >= before.interval[1]


@pytest.mark.parametrize("alike", [0.01, 0.1, 0.5])
def test_the_interval_holds_for_people_who_fail_more_or_less_often(alike: float) -> None:
    """Of people whose own rates are spread by a beta distribution around 5 %, it misses that about once in twenty."""
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        rates = chance.beta(0.05 * (1 - alike) / alike, 0.95 * (1 - alike) / alike, 60)
        wrong = chance.random((60, 8)) < rates[:, None]
        low, high = Proportion.by_person(
            (str(person), bool(outcome)) for (person, _), outcome in np.ndenumerate(wrong)
        ).interval
        held += low <= 0.05 <= high
    assert 0.92 <= held / 200 <= 0.99


def test_pairs_of_independent_errors_are_as_good_as_independent() -> None:
    """Where everybody is in as many wrong pairs as others, all pairs count."""
    assert Proportion.by_pair([2] * 100) == Proportion(100, 4950)
    assert Proportion.by_pair([2] * 100).independent == 4950


def test_pairs_of_people_who_are_confused_with_many_tell_less() -> None:
    """Where ten of a hundred people are taken for each other, pairs tell a fifteenth of what their number promises."""
    found = Proportion.by_pair([9] * 10 + [0] * 90)
    assert found == Proportion(45, 4950)
    assert found.independent == pytest.approx(322.5, abs=0.1)


@pytest.mark.parametrize("wrong", [[0] * 50, [1, 1] + [0] * 48, [8] * 9 + [0] * 41, [49] * 50])
def test_pairs_of_which_few_people_are_wrong_count_as_those_that_share_nobody(wrong: list[int]) -> None:
    """Of fifty people twenty-five pairs; how far the people differ, nobody can tell."""
    assert Proportion.by_pair(wrong).independent == 25


def test_rounding_makes_pairs_tell_no_more_than_there_are() -> None:
    """Of these, multiplied before it is divided, 120 pairs would be a hair more."""
    assert Proportion.by_pair([4, 3, 2, 1, 2] + [1] * 8 + [0] * 3).independent == 120


@given(st.integers(0, 30), st.data())
def test_a_share_by_pair_counts_every_pair(people: int, data: st.DataObject) -> None:
    """Nothing is lost, its interval holds it, and it never claims more than its pairs."""
    every = list(combinations(range(people), 2))
    wrong = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    found = Proportion.by_pair([sum(person in pair for pair in wrong) for person in range(people)])
    assert found == Proportion(len(wrong), len(every))
    low, high = found.interval
    assert 0 <= low <= high <= 1
    assert found.value is None or low - 1e-12 <= found.value <= high + 1e-12
    assert (found.independent or 0) <= max(len(every), people / 2)


def _near(chance: np.random.Generator, people: int) -> npt.NDArray[np.float64]:
    """Return the distances of so many people, shape [people, people], of whom some groups are more alike."""
    centres = np.random.default_rng(7).normal(size=(6, 32))
    group = chance.choice(6, people, p=[0.5, 0.2, 0.12, 0.1, 0.05, 0.03])
    faces = chance.normal(size=(people, 32)) + 0.8 * centres[group]
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    distances: npt.NDArray[np.float64] = 1 - faces @ faces.T
    np.fill_diagonal(distances, math.inf)
    return distances


@pytest.mark.parametrize(("rate", "people"), [(1e-2, 60), (1e-2, 200), (1e-3, 200)])
def test_the_interval_of_pairs_holds_where_some_people_are_more_alike(rate: float, people: int) -> None:
    """It misses the rate of all people about once in twenty; as if pairs were independent, several times as often."""
    chance = np.random.default_rng(1)
    limit = np.quantile(_near(chance, 3_000), rate)
    shares = [Proportion.by_pair((_near(chance, people) <= limit).sum(axis=1).tolist()) for _ in range(200)]

    def held(found: list[Proportion]) -> float:
        return sum(low <= rate <= high for low, high in (share.interval for share in found)) / len(found)

    assert 0.91 <= held(shares) <= 0.99
    assert held([Proportion(share.count, share.total) for share in shares]) < 0.85


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())))
def test_a_share_by_person_counts_every_outcome(outcomes: list[tuple[str, bool]]) -> None:
    """Nothing is lost, its interval holds it, and it never claims more than its outcomes."""
    found = Proportion.by_person(outcomes)
    assert found == Proportion(sum(outcome for _, outcome in outcomes), len(outcomes))
    low, high = found.interval
    assert 0 <= low <= high <= 1
    assert found.value is None or low - 1e-12 <= found.value <= high + 1e-12
    assert (found.independent or 0) <= len(outcomes)

"""What becomes of searches among many."""

import math
from itertools import chain
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import ROUNDING, Accepted, Candidate, Comparison, FixedThreshold, Unknown, decide
from domain.evaluation.comparison import CurvePoint
from domain.evaluation.identification import (
    Identification,
    Roles,
    Searched,
    as_configured,
    at_distance,
    galleries,
    gallery_sizes,
    largest_distance_at,
    nearest_named,
    rank_one,
    roles,
    trade_off,
)
from domain.evaluation.proportions import Proportion


def searched(distance: float, right: bool | None, limit: float = 0.1) -> Searched:  # noqa: FBT001 - reads as a table
    """Return a search that a service with this limit judged."""
    return Searched("somebody", "photo", "nearest", right, distance, limit, distance <= limit, distance / limit)


SEARCHES = [
    searched(0.01, None),
    searched(0.2, None),
    searched(0.1, None),
    searched(0.05, True),
    searched(0.3, True),
    searched(0.04, False),
    searched(0.5, False),
]


@pytest.mark.parametrize(
    ("people", "photographs", "expected"),
    [
        ({"ann": "ab", "ben": "c", "eve": "de"}, 1, Roles(("ann", "eve"), ("ben",))),
        ({"ann": "ab", "ben": "c", "eve": "de", "ivo": "fg"}, 1, Roles(("ann", "ivo"), ("ben", "eve"))),
        ({"ann": "a", "ben": "b", "eve": "c", "ivo": "de"}, 1, Roles(("ivo",), ("ann", "ben", "eve"))),
        ({"ann": "ab", "ben": "cd", "eve": "de"}, 1, Roles(("ann", "eve"), ("ben",))),
        ({"ann": "a", "ben": "b"}, 1, Roles((), ("ann", "ben"))),
        ({}, 1, Roles((), ())),
        ({"ann": "abcd", "ben": "cde", "eve": "d"}, 3, Roles(("ann",), ("eve",))),
        ({"ann": "abcd", "ben": "cdef", "eve": "de"}, 3, Roles(("ben",), ("ann",))),
    ],
)
def test_who_plays_which_part(people: dict[str, str], photographs: int, expected: Roles) -> None:
    """Strangers have one photograph, the enrolled more than their template takes; every other one may be a stranger."""
    assert roles(people, photographs) == expected


_PEOPLE = st.lists(st.integers(1, 6), max_size=60)


@given(_PEOPLE, st.sampled_from([1, 3]))
def test_there_are_about_as_many_strangers_as_people_to_enrol(numbers: list[int], photographs: int) -> None:
    """Or more where many have one photograph; nobody plays both parts, and with one photograph nobody is left out."""
    people = {str(place): range(number) for place, number in enumerate(numbers)}
    found = roles(people, photographs)
    assert len(found.strangers) >= len(people) // 2
    assert len(found.strangers) == max(len(people) // 2, numbers.count(1))
    assert {*found.enrolled}.isdisjoint(found.strangers)
    assert roles(people).strangers == found.strangers
    if photographs == 1:
        assert {*found.enrolled, *found.strangers} == set(people)


@given(_PEOPLE, st.integers(0, 6), st.data())
def test_one_photograph_more_does_not_change_who_is_measured_on(
    numbers: list[int], own: int, data: st.DataObject
) -> None:
    """One single photograph among people with two each used to leave one stranger of half the people."""
    place = data.draw(st.integers(0, len(numbers)))
    before, after = (
        {str(at): range(number) for at, number in enumerate([*numbers[:place], count, *numbers[place:]])}
        for count in (own, own + 1)
    )
    for photographs in (1, 3):
        fewer, more = roles(before, photographs), roles(after, photographs)
        assert abs(len(fewer.enrolled) - len(more.enrolled)) <= 2
        assert abs(len(fewer.strangers) - len(more.strangers)) <= 2


@pytest.mark.parametrize(
    ("people", "expected"),
    [(0, ()), (1, (1,)), (24, (24,)), (25, (20, 25)), (299, (20, 100, 299)), (833, (20, 100, 300, 833))],
)
def test_the_sizes_of_galleries(people: int, expected: tuple[int, ...]) -> None:
    """Round ones up to that of everybody, which none is nearly as large as."""
    assert gallery_sizes(people) == expected


@given(st.integers(1, 300), st.data())
def test_galleries_share_nobody(people: int, data: st.DataObject) -> None:
    """Each has the size that is asked for, nobody is in two, and they are the same each time."""
    size = data.draw(st.integers(1, people))
    found = galleries(range(people), size)
    members = list(chain.from_iterable(found))
    assert {len(gallery) for gallery in found} == {size}
    assert len(members) == len(set(members))
    assert found == galleries(range(people), size)
    assert len(found) == min(25, people // size)


@pytest.mark.parametrize(
    ("decision", "named", "limit", "factor"),
    [
        (Accepted(UUID(int=0), Comparison(0.1, 0.2, 9)), True, 0.2, 0.5),
        (Accepted(UUID(int=0), Comparison(0.1, None, 9)), True, math.inf, 0),
        (Unknown(Comparison(0.1, 0.05, 9)), False, 0.05, 2),
        (Unknown(Comparison(0.1, 0.05, 9, 0.12)), False, 0.05, math.inf),
        (Unknown(Comparison(0.1, 0.2, 9, 0.12), ambiguous=True), False, 0.2, math.inf),
        (Unknown(Comparison(0.1, 0.0, 9, 0.2)), False, 0.0, math.inf),
    ],
)
def test_the_service_decides(
    decision: Accepted | Unknown,
    named: bool,  # noqa: FBT001 - a table
    limit: float,
    factor: float,
) -> None:
    """What it would do is what counts, margin included, also at a multiple of its threshold."""
    found = Searched.judged("ann", "ann/2", "ben", decision, 0.05, right=False)
    assert found == Searched("ann", "ann/2", "ben", False, 0.1, limit, named, factor)


def test_of_two_at_one_distance_no_multiple_of_the_threshold_names_one() -> None:
    """As the service decides, also without a margin."""
    equal = [Candidate(UUID(int=1), 0.1, 1), Candidate(UUID(int=2), 0.1 + ROUNDING / 2, 1)]
    decision = decide(equal, FixedThreshold(0.05), 9, 0.0)
    assert isinstance(decision, Unknown)
    assert Searched.judged("ann", "ann/2", "ben", decision, 0.0, right=False).factor == math.inf


def test_what_becomes_of_searches() -> None:
    """Strangers within the threshold are named; of the enrolled, only the right one within it is not missed."""
    expected = Identification(9, 0.1, Proportion(2, 3), Proportion(3, 4), Proportion(1, 4))
    assert at_distance(SEARCHES, 9, 0.1) == as_configured(SEARCHES, 9) == expected
    assert at_distance(SEARCHES, 9, math.inf).false_positive == Proportion(3, 3)
    assert rank_one(SEARCHES) == Proportion(2, 4)


def test_each_search_has_its_own_threshold() -> None:
    """The service's word counts, and the median is shown."""
    found = as_configured([searched(0.1, None, 0.09), searched(0.1, True, 0.11), searched(0.1, True, 0.12)], 5)
    assert found == Identification(5, 0.11, Proportion(0, 1), Proportion(0, 2), Proportion(0, 2))


@pytest.mark.parametrize(("rate", "expected"), [(0.099, None), (0.1, 0.1), (0.129, 0.12), (1.0, 1.0)])
def test_the_threshold_that_keeps_a_share_of_strangers(rate: float, expected: float | None) -> None:
    """The largest distance that names no more than that share; none where it is fewer than ten of them."""
    searches = [searched(number / 100, None) for number in range(1, 101)] + [searched(0.001, True)]
    threshold = largest_distance_at(searches, rate)
    assert threshold == expected
    if threshold is not None:
        named = at_distance(searches, 1, threshold).false_positive.value
        assert named is not None
        assert named <= rate


def test_both_errors_at_multiples_of_the_services_threshold() -> None:
    """Each search keeps its own; whoever is nearest to another person is missed whatever the factor is."""
    strangers = [searched(0.01 * number, None, 0.1 if number % 2 else 0.2) for number in range(1, 41)]
    users = [searched(0.05, True), searched(0.3, True), searched(0.1, False), searched(0.9, True)]
    curve = trade_off(strangers + users)
    assert [(point.false_positive, point.false_negative) for point in (curve[0], curve[-1])] == [(2 / 40, 1), (1, 0.5)]
    assert [point.threshold for point in curve].count(1.0) == 1
    for point in curve:
        named = at_factor(strangers + users, point.threshold)
        assert (named.false_positive.value, named.false_negative.value) == (point.false_positive, point.false_negative)


def at_factor(searches: list[Searched], factor: float) -> Identification:
    """Return what a service with the multiple of each threshold would do."""
    judged = [attrs.evolve(search, limit=factor * search.limit, named=search.factor <= factor) for search in searches]
    return as_configured(judged, 1)


def test_without_a_threshold_there_is_nothing_to_multiply() -> None:
    """No limit times anything is no limit."""
    assert trade_off([searched(0.1, None, math.inf)] * 20 + [searched(0.1, True, math.inf)]) == ()


def test_the_service_itself_is_on_the_curve() -> None:
    """Also where no stranger is just named by it, or named at all."""
    users = [searched(0.09, True), searched(0.3, True)]
    assert CurvePoint(1.0, 0.5, 0.5) in trade_off([searched(0.02, None), searched(0.5, None), *users])
    assert CurvePoint(1.0, 0.0, 0.5) in trade_off([searched(0.5, None), *users])


def test_the_strangers_to_look_at() -> None:
    """Those who were named, the nearest first, and no more than can be looked at."""
    assert [one.distance for one in nearest_named(SEARCHES)] == [0.01, 0.1]
    assert len(nearest_named([searched(0.01, None)] * 11)) == 10


def test_strangers_at_one_distance_are_named_all_or_none() -> None:
    """A threshold at their distance would name more than the share."""
    assert largest_distance_at([searched(0.1, None)] * 100 + [searched(0.05, None)] * 10, 0.5) == 0.05

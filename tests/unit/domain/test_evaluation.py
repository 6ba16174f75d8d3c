"""Counting how well people are told apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import Calibration
from domain.evaluation import (
    Identification,
    Pair,
    Roles,
    Search,
    Share,
    Subject,
    identify,
    operating_points,
    own_pairs,
    pairs_to_verify,
    roles,
    strictest_distance,
    subject_of,
    verify,
)
from domain.faces import BoundingBox, DetectedFace, PhotoReading
from domain.guardrails import Objection
from domain.outcomes import Reason

CALIBRATION = Calibration(((1e-3, 0.05), (1e-1, 0.2)))


def face(centre_x: float, centre_y: float) -> DetectedFace:
    """Return a face with its centre there."""
    return DetectedFace(BoundingBox(centre_x - 10, centre_y - 10, centre_x + 10, centre_y + 10), 1.0)


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


@pytest.mark.parametrize(
    ("faces", "rule", "expected"),
    [
        ((), Subject.ONE, Reason.NO_FACE),
        ((), Subject.CENTRAL, Reason.NO_FACE),
        ((face(20, 20),), Subject.ONE, face(20, 20)),
        ((face(20, 20),), Subject.CENTRAL, face(20, 20)),
        ((face(20, 20), face(60, 40)), Subject.ONE, Reason.MULTIPLE_FACES),
        ((face(20, 20), face(60, 40), face(90, 50)), Subject.CENTRAL, face(60, 40)),
    ],
)
def test_whose_photograph_it_is(
    faces: tuple[DetectedFace, ...], rule: Subject, expected: DetectedFace | Reason
) -> None:
    """The only face's or the central one's; otherwise it is said why nobody's."""
    found = subject_of(PhotoReading(120, 80, faces), rule)
    assert (found.reason if isinstance(found, Objection) else found) == expected


def test_every_two_photographs_of_a_person() -> None:
    """At most six of one person's, so that nobody outweighs the others."""
    assert list(own_pairs({"ann": "ab", "ben": "c", "eve": "def"})) == [("a", "b"), ("d", "e"), ("d", "f"), ("e", "f")]
    assert len(list(own_pairs({"ann": range(100)}))) == 15


@given(st.dictionaries(st.integers(), st.integers(1, 8), max_size=40))
def test_pairs_to_verify_are_fair(counts: dict[int, int]) -> None:
    """As many pairs of one person as of two, really of one and of two, and each person in one fold only."""
    people = {str(person): [(person, number) for number in range(count)] for person, count in counts.items()}
    pairs = list(pairs_to_verify(people))
    folds: dict[int, set[int]] = {}
    for fold, same, one, other in pairs:
        assert (one[0] == other[0]) == same
        assert one != other
        for person in (one[0], other[0]):
            folds.setdefault(person, set()).add(fold)
    assert all(len(of_one) == 1 for of_one in folds.values())
    assert sum(same for _, same, _, _ in pairs) * 2 == len(pairs)


def test_a_clear_case_is_verified_without_an_error() -> None:
    """Where there is a gap between the two kinds, the threshold lies in it."""
    pairs = [Pair(number % 10, same, 0.05 if same else 0.2) for number in range(40) for same in (True, False)]
    verification = verify(pairs)
    assert verification is not None
    assert (verification.pairs, verification.accuracy, verification.deviation) == (80, 1.0, 0.0)
    assert 0.05 < verification.threshold < 0.2


def test_a_fold_is_judged_by_the_others() -> None:
    """A fold whose distances are quite different gets the threshold that suits the rest, and is judged wrongly."""
    usual = [Pair(fold, same, 0.1 if same else 0.3) for fold in range(9) for same in (True, False)]
    odd = [Pair(9, same, 0.5 if same else 0.7) for same in (True, False)]
    verification = verify(usual + odd)
    assert verification is not None
    assert verification.accuracy == pytest.approx(0.95)


def test_a_face_that_was_not_found_is_an_error_of_either_kind() -> None:
    """Whether the two are one person or not, nobody could say so."""
    pairs = [Pair(fold, same, 0.1 if same else 0.3) for fold in range(2) for same in (True, False)]
    lost = [Pair(0, True, None), Pair(1, False, None)]
    verification = verify(pairs + lost)
    assert verification is not None
    assert verification.accuracy == pytest.approx(4 / 6)


@pytest.mark.parametrize("pairs", [[], [Pair(0, True, 0.1), Pair(0, False, 0.2)]])
def test_without_two_folds_nothing_can_be_verified(pairs: list[Pair]) -> None:
    """There would be nothing to take a threshold from."""
    assert verify(pairs) is None


def test_an_operating_point() -> None:
    """The distance that the share of impostors lies at or below, and what share of genuine pairs lies beyond."""
    impostors = [number / 1000 for number in range(1, 1001)]
    genuine = [0.005, 0.01, 0.0101, 0.4]
    one, ten = sorted(operating_points(impostors, genuine, CALIBRATION), key=lambda point: point.rate)
    assert (one.rate, one.distance, one.false_non_match) == (1e-2, 0.01, Share(2, 4))
    assert (ten.rate, ten.distance, ten.false_non_match) == (1e-1, 0.1, Share(1, 4))
    assert (ten.calibrated, ten.false_match) == (0.2, Share(200, 1000))


def test_rates_that_too_few_impostors_stand_for_are_left_out() -> None:
    """Fewer than ten comparisons are no measurement."""
    assert [point.rate for point in operating_points([0.1] * 99, [], CALIBRATION)] == []
    assert [point.rate for point in operating_points([0.1] * 10_000, [], CALIBRATION)] == [1e-1, 1e-2, 1e-3]


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ({"ann": "ab", "ben": "c", "eve": "de"}, Roles(("ann", "eve"), ("ben",))),
        ({"ann": "ab", "ben": "cd", "eve": "de"}, Roles(("ann", "eve"), ("ben",))),
        ({"ann": "a", "ben": "b"}, Roles((), ("ann", "ben"))),
        ({}, Roles((), ())),
    ],
)
def test_who_plays_which_part(people: dict[str, str], expected: Roles) -> None:
    """People with one photograph are strangers; where there are none, every other person is."""
    assert roles(people) == expected


def test_what_becomes_of_searches() -> None:
    """Strangers within the threshold are named; of the enrolled, only the right one within it is not missed."""
    searches = [
        Search(0.01, None),
        Search(0.2, None),
        Search(0.1, None),
        Search(0.05, True),
        Search(0.3, True),
        Search(0.04, False),
        Search(0.5, False),
    ]
    expected = Identification(9, 0.1, Share(2, 3), Share(3, 4), Share(1, 4))
    assert identify(searches, 9, 0.1) == expected
    assert identify(searches, 9, math.inf).false_positive == Share(3, 3)


@pytest.mark.parametrize(("rate", "expected"), [(0.009, None), (0.01, 0.01), (0.029, 0.02), (1.0, 1.0)])
def test_the_threshold_that_keeps_a_share_of_strangers(rate: float, expected: float | None) -> None:
    """The largest distance that names no more than that share; none where one stranger would be too many."""
    searches = [Search(number / 100, None) for number in range(1, 101)] + [Search(0.001, True)]
    threshold = strictest_distance(searches, rate)
    assert threshold == expected
    if threshold is not None:
        named = identify(searches, 1, threshold).false_positive.value
        assert named is not None
        assert named <= rate

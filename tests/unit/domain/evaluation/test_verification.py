"""Verification of pairs, over folds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evaluation.verification import Pair, own_pairs, pairs_to_verify, verify


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
    assert verification.folds == 2
    assert verification.accuracy == pytest.approx(4 / 6)


@pytest.mark.parametrize("pairs", [[], [Pair(0, True, 0.1), Pair(0, False, 0.2)]])
def test_without_two_folds_nothing_can_be_verified(pairs: list[Pair]) -> None:
    """There would be nothing to take a threshold from."""
    assert verify(pairs) is None

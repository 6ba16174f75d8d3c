"""Codes propose the right users: those whose vectors are nearest, though each axis is rounded to one of 16 values."""

from uuid import UUID

import numpy as np
import pytest

from adapters.faiss_codes import codes as module
from adapters.faiss_codes.codes import Codes, Users, Vectors, learn
from tests.benchmarks.synthetic_faces import photographed_twice

PARTS = 8


def ids(count: int, first: int = 0) -> Users:
    """Return so many ids, in their order."""
    numbers = b"".join(UUID(int=first + number).bytes for number in range(count))
    return np.frombuffer(numbers, np.uint8).reshape(count, 16)


@pytest.fixture(scope="module", params=[128, 512])
def people(request: pytest.FixtureRequest) -> tuple[Vectors, Vectors]:
    """Return two photographs' vectors of each of thousands of people."""
    both = [photographed_twice(request.param, part) for part in range(PARTS)]
    return np.concatenate([first for first, _ in both]), np.concatenate([second for _, second in both])


def test_who_is_nearest_is_proposed(people: tuple[Vectors, Vectors]) -> None:
    """In at least 995 of 1,000 searches, for vectors of few and of many dimensions."""
    enrolled, probes = people[0], people[1][::8]
    codes = Codes(learn(enrolled, len(enrolled)))
    codes.add(ids(len(enrolled)), enrolled)
    nearest = np.argmax(probes @ enrolled.T, axis=1)
    hits = [UUID(int=int(true)) in codes.near(probe.tolist()) for probe, true in zip(probes, nearest, strict=True)]
    assert np.mean(hits) >= 0.995
    assert codes.near_at_once(probes[0].tolist()) == (codes.near(probes[0].tolist()), True)  # though they are 16 MB


def test_of_strangers_the_nearest_are_proposed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a second look, for the first goes into few cells and misses many; the enrolled need none.

    Thousands of users have so few cells that a first look goes into all: here it goes into the share of millions.
    """
    monkeypatch.setattr(module, "_FEW_AT_LEAST", 1)
    enrolled = np.concatenate([photographed_twice(512, part)[0] for part in range(PARTS)])
    again, strangers = photographed_twice(512, 0)[1][::10], photographed_twice(512, 10**6)[0][::5]
    codes = Codes(learn(enrolled, len(enrolled)))
    codes.add(ids(len(enrolled)), enrolled)
    firsts = [codes.near_at_once(probe.tolist()) or ([], True) for probe in (*again, *strangers)]
    enough = [stands_out for _, stands_out in firsts]
    assert np.mean(enough[: len(again)]) > 0.95
    assert np.mean(enough[len(again) :]) < 0.05
    nearest = [UUID(int=int(true)) for true in np.argmax(strangers @ enrolled.T, axis=1)]
    assert np.mean([true in users for true, (users, _) in zip(nearest, firsts[len(again) :], strict=True)]) < 0.9
    for search in (codes.near, codes.near_at_second_look):
        found = [search(probe.tolist()) for probe in strangers]
        assert np.mean([true in users for true, users in zip(nearest, found, strict=True)]) >= 0.995


def test_too_few_are_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a gallery that has become much smaller since codes were learnt: most cells are empty."""
    monkeypatch.setattr(module, "_FEW_AT_LEAST", 1)
    enrolled = np.concatenate([photographed_twice(128, part)[0] for part in range(5)])
    codes = Codes(learn(enrolled, len(enrolled)))
    codes.add(ids(30), enrolled[:30])
    assert len(codes.near(enrolled[0].tolist())) == 16


def test_the_nearest_are_proposed_in_their_order(people: tuple[Vectors, Vectors]) -> None:
    """The longer codes put them in it; by the short ones alone, of 16 values for each axis, many are out of place."""
    enrolled, probes = people[0], people[1][::20]
    codes = Codes(learn(enrolled, len(enrolled)))
    codes.add(ids(len(enrolled)), enrolled)
    nearest = np.argsort(-(probes @ enrolled.T), axis=1)[:, :4]
    found = [[user.int for user in codes.near(probe.tolist())[:4]] for probe in probes]
    assert np.mean(np.asarray(found) == nearest) >= 0.95


def test_who_is_added_later_is_proposed_too(people: tuple[Vectors, Vectors]) -> None:
    """Codes are learnt from some and good for others."""
    learnt_from, others = people[0][:5_000], people[0][5_000:]
    codes = Codes(learn(learnt_from, len(learnt_from)))
    for part in range(6):
        codes.add(ids(500, first=500 * part), others[500 * part :][:500])
    assert len(codes) == 3_000
    found = [codes.near(vector.tolist())[:3] for vector in others[:3_000:100]]
    assert sum(UUID(int=100 * number) in near for number, near in enumerate(found)) >= 29


def test_few_are_kept_as_they_are() -> None:
    """Nothing can be learnt from them: the nearest come first, in their order."""
    few = np.eye(6, dtype=np.float32)
    codes = Codes(learn(few[:0], 0))
    assert codes.near([1, 0, 0, 0, 0, 0]) == []
    codes.add(ids(6), few)
    assert codes.near([0, 1, 0.5, 0, 0, 0])[:2] == [UUID(int=1), UUID(int=2)]


def test_a_user_with_several_codes_is_proposed_once() -> None:
    """Under the nearest of them."""
    codes = Codes(learn(np.empty((0, 2), np.float32), 0))
    codes.add(ids(2), np.asarray([[1, 0], [0, 1]], np.float32))
    codes.add(ids(1), np.asarray([[0.1, 0.995]], np.float32))
    assert codes.near([0, 1]) == [UUID(int=1), UUID(int=0)]


def test_what_is_brief_is_found_at_once() -> None:
    """The same as otherwise; while users are being added, nobody is waited for."""
    codes = Codes(learn(np.empty((0, 2), np.float32), 0))
    codes.add(ids(2), np.asarray([[1, 0], [0, 1]], np.float32))
    assert codes.near_at_once([0, 1]) == (codes.near([0, 1]), True) == ([UUID(int=1), UUID(int=0)], True)
    with codes._in_use:
        assert codes.near_at_once([0, 1]) is None


def test_what_takes_long_is_left_to_a_thread() -> None:
    """More than ten megabytes of vectors with 1,024 dimensions."""
    probe = [1.0] + 1_023 * [0.0]
    codes = Codes(learn(np.empty((0, 1_024), np.float32), 0))
    codes.add(ids(2_500), np.eye(2_500, 1_024, dtype=np.float32))
    assert codes.near_at_once(probe) == (codes.near(probe), True)
    codes.add(ids(100, first=2_500), np.eye(100, 1_024, dtype=np.float32))
    assert codes.near_at_once(probe) is None
    assert codes.near(probe)[0] == UUID(int=0)


def test_what_was_learnt_holds_nobody(people: tuple[Vectors, Vectors]) -> None:
    """It is as large for any number of examples, and proposes nobody."""
    enrolled = people[0]
    few, many = learn(enrolled[:4_000], 500), learn(enrolled, 500)
    assert len(few) == len(many)
    assert (len(Codes(many)), Codes(many).near(enrolled[0].tolist())) == (0, [])

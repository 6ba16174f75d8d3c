"""Codes propose the right users: those whose vectors are nearest, though pairs of axes are rounded to 16 codes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import faiss
import numpy as np
import pytest

from adapters.faiss_codes import codebook
from adapters.faiss_codes import codes as module
from adapters.faiss_codes.codebook import learn, with_shortlist
from adapters.faiss_codes.codes import Codes, Users, can_be_made
from tests.benchmarks.synthetic_faces import Vectors, photographed_twice

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


@pytest.fixture(params=[1, 3])
def cores(request: pytest.FixtureRequest) -> int:
    """Return how many threads search, each of which has a part of the codes."""
    return int(request.param)


def test_who_is_nearest_is_proposed(people: tuple[Vectors, Vectors], cores: int) -> None:
    """And the next three: for people who are enrolled and for strangers, of few and of many dimensions."""
    enrolled = people[0]
    strangers = photographed_twice(enrolled.shape[1], 10**6)[0][::5]
    codes = Codes(learn(enrolled), cores=cores)
    for first in range(0, len(enrolled), 1_000):
        codes.add(ids(1_000, first), enrolled[first : first + 1_000])
    assert len(codes) == len(enrolled)
    for probes in (people[1][::20], strangers):
        nearest = np.argsort(-(probes @ enrolled.T), axis=1)[:, :4]
        found = [{user.int for user in codes.near(probe.tolist())} for probe in probes]
        assert np.mean([set(true) <= users for true, users in zip(nearest.tolist(), found, strict=True)]) >= 0.995
    assert codes.near_at_once(probes[0].tolist()) == codes.near(probes[0].tolist())  # though vectors are of 16 MB


@pytest.mark.parametrize("dimension", [3, 33, 64, 65, 130])
def test_vectors_may_have_any_number_of_dimensions(dimension: int) -> None:
    """Of few, each axis has a code of its own; an odd one too many is left to the longer codes."""
    vectors = np.random.default_rng(dimension).standard_normal((5_000, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = Codes(learn(vectors))
    codes.add(ids(len(vectors)), vectors)
    assert [codes.near(vectors[number].tolist())[0].int for number in range(0, 5_000, 500)] == list(
        range(0, 5_000, 500)
    )


def test_short_codes_tell_enough(monkeypatch: pytest.MonkeyPatch, people: tuple[Vectors, Vectors], cores: int) -> None:
    """Of 8,000, nearly all strangers' nearest are among 192 by them; of 512 dimensions, half as many pairs miss 4 %."""
    monkeypatch.setattr(codebook, "LEAST", 192)
    enrolled = people[0]
    strangers = photographed_twice(enrolled.shape[1], 10**6)[0][::5]
    codes = Codes(learn(enrolled), cores=cores)
    codes.add(ids(len(enrolled)), enrolled)
    nearest = [UUID(int=int(true)) for true in np.argmax(strangers @ enrolled.T, axis=1)]
    found = [codes.near(stranger.tolist()) for stranger in strangers]
    assert np.mean([true in users for true, users in zip(nearest, found, strict=True)]) >= 0.98


def test_axes_that_tell_much_share_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a few axes vary far more than the others, nearly everybody's nearest is among 64; else 8 % are not."""
    monkeypatch.setattr(codebook, "LEAST", 64)
    random = np.random.default_rng(5)
    spread = np.arange(1.0, 65.0) ** -1.5
    vectors = (random.standard_normal((6_200, 64)) * spread).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    enrolled, probes = vectors[:6_000], vectors[6_000:]
    codes = Codes(learn(enrolled))
    codes.add(ids(6_000), enrolled)
    nearest = [UUID(int=int(true)) for true in np.argmax(probes @ enrolled.T, axis=1)]
    found = [codes.near(probe.tolist()) for probe in probes]
    assert np.mean([true in users for true, users in zip(nearest, found, strict=True)]) >= 0.97


def test_users_who_are_alike_may_come_together() -> None:
    """They are spread over what threads search, each of which has a share of those who are looked at closely."""
    random = np.random.default_rng(1)
    groups = random.standard_normal((8, 1, 128)) + 0.3 * random.standard_normal((8, 1_000, 128))
    vectors = (groups / np.linalg.norm(groups, axis=2, keepdims=True)).astype(np.float32).reshape(-1, 128)
    codes = Codes(learn(vectors), cores=3)
    codes.add(ids(8_000), vectors)
    for user in range(8_000, 8_002):
        codes.add(ids(1, user), vectors[:1])
    there = [part._users[: len(part)] for part in codes._parts]
    groups_of_users = [[UUID(bytes=user.tobytes()).int // 1_000 for user in users] for users in there]
    assert sorted(map(len, groups_of_users)) == [2_667, 2_667, 2_668]
    assert all(part.count(group) in {333, 334} for part in groups_of_users for group in range(8))


def test_the_nearest_are_proposed_in_their_order(people: tuple[Vectors, Vectors]) -> None:
    """The longer codes put them in it; by the short ones alone many are out of place."""
    enrolled, probes = people[0], people[1][::20]
    codes = Codes(learn(enrolled))
    codes.add(ids(len(enrolled)), enrolled)
    nearest = np.argsort(-(probes @ enrolled.T), axis=1)[:, :4]
    found = [[user.int for user in codes.near(probe.tolist())[:4]] for probe in probes]
    assert np.mean(np.asarray(found) == nearest) >= 0.95


def test_who_is_added_later_is_proposed_too(people: tuple[Vectors, Vectors]) -> None:
    """Codes are learnt from some and good for others."""
    learnt_from, others = people[0][:5_000], people[0][5_000:]
    codes = Codes(learn(learnt_from))
    for part in range(6):
        codes.add(ids(500, first=500 * part), others[500 * part :][:500])
    assert len(codes) == 3_000
    found = [codes.near(vector.tolist())[:3] for vector in others[:3_000:100]]
    assert sum(UUID(int=100 * number) in near for number, near in enumerate(found)) >= 29


def test_few_are_kept_as_they_are() -> None:
    """Nothing can be learnt from them: the nearest come first, in their order."""
    few = np.eye(6, dtype=np.float32)
    codes = Codes(learn(few[:0]))
    assert codes.near([1, 0, 0, 0, 0, 0]) == []
    codes.add(ids(6), few)
    assert codes.near([0, 1, 0.5, 0, 0, 0])[:2] == [UUID(int=1), UUID(int=2)]


def test_users_may_come_one_by_one_or_not_at_all(cores: int) -> None:
    """There are fewer than threads at first, and nobody is found before the first one."""
    enrolled = photographed_twice(128, 0)[0]
    codes = Codes(learn(np.concatenate([photographed_twice(128, part)[0] for part in range(5)])), cores=cores)
    for number in range(8):
        codes.add(ids(0), enrolled[:0])
        assert len(codes.near(enrolled[0].tolist())) == len(codes) == number
        codes.add(ids(1, number), enrolled[number : number + 1])
        assert codes.near(enrolled[number].tolist())[0] == UUID(int=number)


def test_a_user_with_several_codes_is_proposed_once() -> None:
    """Under the nearest of them."""
    codes = Codes(learn(np.empty((0, 2), np.float32)))
    codes.add(ids(2), np.asarray([[1, 0], [0, 1]], np.float32))
    codes.add(ids(1), np.asarray([[0.1, 0.995]], np.float32))
    assert codes.near([0, 1]) == [UUID(int=1), UUID(int=0)]


def test_a_template_that_changes_often_crowds_nobody_out(cores: int) -> None:
    """As a mean does with each further photograph: others are proposed beside that user."""
    enrolled = photographed_twice(128, 0)[0]
    codes = Codes(learn(np.concatenate([photographed_twice(128, part)[0] for part in range(5)])), cores=cores)
    codes.add(ids(1_000), enrolled)
    for _ in range(30):
        codes.add(ids(1), enrolled[:1])
    found = codes.near(enrolled[0].tolist())
    assert (found[0], len(found), len(set(found))) == (UUID(int=0), 16, 16)


def test_what_is_brief_is_found_at_once() -> None:
    """The same as otherwise; while users are being added, nobody is waited for."""
    codes = Codes(learn(np.empty((0, 2), np.float32)))
    codes.add(ids(2), np.asarray([[1, 0], [0, 1]], np.float32))
    assert codes.near_at_once([0, 1]) == codes.near([0, 1]) == [UUID(int=1), UUID(int=0)]
    with codes._in_use:
        assert codes.near_at_once([0, 1]) is None


def test_nobody_searches_while_users_are_being_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is half added is not looked at, from another thread either."""
    adding, go_on = Event(), Event()
    add = module._Part.add

    def slowly(*arguments: Any) -> None:
        adding.set()
        assert go_on.wait(10)
        add(*arguments)

    monkeypatch.setattr(module._Part, "add", slowly)
    codes = Codes(learn(np.empty((0, 2), np.float32)))
    with ThreadPoolExecutor(1) as thread:
        added = thread.submit(codes.add, ids(1), np.asarray([[1, 0]], np.float32))
        assert adding.wait(10)
        found = codes.near_at_once([1, 0])
        go_on.set()
        added.result()
    assert (found, codes.near_at_once([1, 0])) == (None, [UUID(int=0)])


def test_users_are_added_by_as_many_threads_as_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread adds to its own part, at the same time as the others; where one fails, whoever adds hears of it."""
    together = Barrier(3, timeout=10)
    add = module._Part.add

    def at_once(*arguments: Any) -> None:
        together.wait()
        add(*arguments)

    monkeypatch.setattr(module._Part, "add", at_once)
    codes = Codes(learn(np.empty((0, 2), np.float32)), cores=3)
    codes.add(ids(3), np.asarray([[1, 0], [0, 1], [0.6, 0.8]], np.float32))
    assert len(codes) == 3
    monkeypatch.setattr(module._Part, "add", add)
    with pytest.raises(AssertionError):
        codes.add(ids(1), np.asarray([[1, 0, 0]], np.float32))


def test_what_takes_long_is_left_to_a_thread() -> None:
    """More than ten megabytes of vectors with 1,024 dimensions."""
    probe = [1.0] + 1_023 * [0.0]
    codes = Codes(learn(np.empty((0, 1_024), np.float32)))
    codes.add(ids(2_500), np.eye(2_500, 1_024, dtype=np.float32))
    assert codes.near_at_once(probe) == codes.near(probe)
    codes.add(ids(100, first=2_500), np.eye(100, 1_024, dtype=np.float32))
    assert codes.near_at_once(probe) is None
    assert codes.near(probe)[0] == UUID(int=0)


def test_a_long_shortlist_is_left_to_a_thread(people: tuple[Vectors, Vectors]) -> None:
    """To put 8,192 users in order takes milliseconds; 2,048 do not."""
    vectors = people[0]
    for users, is_brief in ((2_048, True), (8_192, False)):
        codes = Codes(with_shortlist(learn(vectors), users), cores=2)
        codes.add(ids(100), vectors[:100])
        assert (codes.near_at_once(vectors[0].tolist()) is not None) == is_brief


@pytest.mark.parametrize(
    ("kept", "used"), [(None, 1_024), (1_024, 1_024), (4_096, 4_096), (64, 1_024), (16_384, 8_192)]
)
def test_a_shortlist_is_kept_with_what_was_learnt(
    people: tuple[Vectors, Vectors], cores: int, kept: int | None, used: int
) -> None:
    """Each thread has its share; an older release kept none, and one out of bounds is brought into them."""
    learnt = learn(people[0]) if kept is None else with_shortlist(learn(people[0]), kept)
    assert can_be_made(learnt, people[0].shape[1])
    shares = [part._index.k_factor * codebook.FOUND for part in Codes(learnt, cores=cores)._parts]
    assert shares == pytest.approx(cores * [used // cores])


def test_what_was_learnt_and_is_damaged_makes_no_codes(people: tuple[Vectors, Vectors]) -> None:
    """Cut off, empty, of another dimension, or with a number of users that it does not hold; whole, it does."""
    _, vectors = people
    learnt = learn(vectors)
    full = faiss.deserialize_index(np.frombuffer(learn(vectors[:1]), np.uint8))
    full.add(vectors[:1])
    dimension = vectors.shape[1]
    assert can_be_made(learnt, dimension)
    for damaged in learnt[: len(learnt) // 2], b"", bytes(faiss.serialize_index(full)):
        assert not can_be_made(damaged, dimension)
    assert not can_be_made(learnt, dimension + 1)


def test_what_was_learnt_holds_nobody(people: tuple[Vectors, Vectors]) -> None:
    """It is as large for any number of examples, and proposes nobody."""
    enrolled = people[0]
    few, many = learn(enrolled[:4_000]), learn(enrolled)
    dimension = enrolled.shape[1]
    assert len(few) == len(many) < 5 * dimension * 2 * (32 if dimension == 128 else 64)  # four bytes for each axis used
    assert (len(Codes(many)), Codes(many).near(enrolled[0].tolist())) == (0, [])

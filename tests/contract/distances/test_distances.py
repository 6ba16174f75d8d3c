"""Whoever compares many embeddings at once comes to what the domain says of each two."""

import random
from itertools import combinations

import pytest

from adapters.evaluation.distances import NumpyDistances
from application.ports.distances import Distances
from domain.faces import FaceEmbedding
from tests.fakes.distances import PlainDistances


@pytest.fixture(params=[NumpyDistances, PlainDistances])
def distances(request: pytest.FixtureRequest) -> Distances:
    """Return each in turn."""
    made: Distances = request.param()
    return made


def some(count: int, seed: int = 1, dimension: int = 5) -> list[FaceEmbedding]:
    """Return embeddings of no particular length."""
    chance = random.Random(seed)
    return [
        FaceEmbedding("m@1", tuple(chance.gauss(0, 1 + number) for _ in range(dimension))) for number in range(count)
    ]


def test_it_compares(distances: Distances) -> None:
    """The adapter satisfies the port."""
    one, other = FaceEmbedding("m@1", (3.0, 0.0)), FaceEmbedding("m@1", (0.0, 0.1))
    assert list(distances.pairwise([one, one], [other, one])) == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 70])
def test_ones_that_are_the_others_are_compared_once(distances: Distances, count: int) -> None:
    """Every two, and nobody with themselves."""
    embeddings = some(count)
    expected = sorted(one.cosine_distance(other) for one, other in combinations(embeddings, 2))
    assert list(distances.across(embeddings, embeddings)) == pytest.approx(expected)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_near(distances: Distances, count: int) -> None:
    """Each is told how many others lie nearby, and is none of them."""
    embeddings = some(count)
    found = distances.near(embeddings, 0.7)
    expected = [sum(one.cosine_distance(other) <= 0.7 for other in embeddings) - 1 for one in embeddings]
    assert list(found) == expected


@pytest.mark.parametrize("part", [0, 10, 2])
def test_near_agrees_with_the_distances(distances: Distances, part: int) -> None:
    """A limit that is one of the distances counts its pair, on both sides, and in portions, too."""
    embeddings = some(1_100 if isinstance(distances, NumpyDistances) else 60)
    ascending = distances.across(embeddings, embeddings)
    limit = ascending[len(ascending) // part if part else 0]
    assert sum(distances.near(embeddings, limit)) == 2 * sum(distance <= limit for distance in ascending)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_pairwise(distances: Distances, count: int) -> None:
    """Each with the other at its place."""
    ones, others = some(count), some(count, seed=2)
    assert list(distances.pairwise(ones, others)) == pytest.approx(list(PlainDistances().pairwise(ones, others)))


@pytest.mark.parametrize(("count", "more"), [(0, 0), (0, 3), (1, 0), (1, 1), (3, 4), (600, 2)])
def test_across(distances: Distances, count: int, more: int) -> None:
    """Each of the ones with every other at a later place, ascending: every two places once."""
    count = count if isinstance(distances, NumpyDistances) else min(count, 30)
    ones, others = some(count), some(count + more, seed=2)
    found = list(distances.across(ones, others))
    assert found == pytest.approx(sorted(found))
    assert len(found) == count * (count - 1) // 2 + count * more
    assert sum(found) == pytest.approx(
        sum(one.cosine_distance(other) for place, one in enumerate(ones) for other in others[place + 1 :])
    )


@pytest.mark.parametrize("count", [0, 1, 700])
@pytest.mark.parametrize("wanted", [1, 4, 20])
def test_nearest(distances: Distances, count: int, wanted: int) -> None:
    """So many of each probe's nearest as are wanted, or all, closest first."""
    probes, gallery = some(count), some(9, seed=2)
    expected = PlainDistances().nearest(probes, gallery, wanted)
    found = distances.nearest(probes, gallery, wanted)
    assert [[one.place for one in near] for near in found] == [[one.place for one in near] for near in expected]
    for near, as_expected in zip(found, expected, strict=True):
        assert len(near) == min(wanted, 9)
        assert [one.distance for one in near] == pytest.approx([one.distance for one in as_expected])


def test_nearest_of_nobody(distances: Distances) -> None:
    """All there are of an empty gallery are none, for each probe."""
    assert [list(near) for near in distances.nearest(some(2), [], 4)] == [[], []]

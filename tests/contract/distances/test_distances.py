"""Whoever compares many embeddings at once comes to what the domain says of each two."""

import random

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
def test_among(distances: Distances, count: int) -> None:
    """Every two once, ascending."""
    embeddings = some(count)
    found = list(distances.among(embeddings))
    assert found == pytest.approx(list(PlainDistances().among(embeddings)))
    assert len(found) == count * (count - 1) // 2


def test_among_many(distances: Distances) -> None:
    """No pair is lost or doubled where they are compared in portions."""
    count = 1_100 if isinstance(distances, NumpyDistances) else 100
    embeddings = some(count, dimension=2)
    found = distances.among(embeddings)
    assert len(found) == count * (count - 1) // 2
    assert found == pytest.approx(sorted(found))
    assert sum(found) == pytest.approx(sum(NumpyDistances().among(embeddings[::-1])))


@pytest.mark.parametrize("count", [0, 1, 40])
def test_pairwise(distances: Distances, count: int) -> None:
    """Each with the other at its place."""
    ones, others = some(count), some(count, seed=2)
    assert list(distances.pairwise(ones, others)) == pytest.approx(list(PlainDistances().pairwise(ones, others)))


@pytest.mark.parametrize("count", [0, 1, 700])
def test_nearest(distances: Distances, count: int) -> None:
    """Each probe's nearest, and how near."""
    probes, gallery = some(count), some(9, seed=2)
    expected = list(PlainDistances().nearest(probes, gallery))
    found = list(distances.nearest(probes, gallery))
    assert [place for place, _ in found] == [place for place, _ in expected]
    assert [distance for _, distance in found] == pytest.approx([distance for _, distance in expected])

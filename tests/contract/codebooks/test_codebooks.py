"""Codebooks know whose vectors they are for, and how long a shortlist has to be is measured by them."""

from collections.abc import AsyncIterator
from typing import Any

import attrs
import numpy as np
import pytest

from adapters.faiss_codes.codebooks import FaissCodebooks
from application.ports.codebooks import Codebooks
from tests.fakes.codebooks import PlainCodebooks

DIMENSION = 16
ENOUGH_TO_LEARN = 4_000


@attrs.frozen
class Subject:
    """Codebooks under test, and a gallery as they take it."""

    codebooks: Codebooks[Any]
    gallery: Any

    async def pages(self, *, of: slice) -> AsyncIterator[Any]:
        """Yield a part of the gallery in two pages."""
        users = self.gallery[of]
        half = len(users) // 2
        yield users[:half]
        yield users[half:]


@pytest.fixture(params=["faiss", "plain"], scope="module")
def subject(request: pytest.FixtureRequest) -> Subject:
    """Return each in turn."""
    vectors = np.random.default_rng(1).standard_normal((ENOUGH_TO_LEARN, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if request.param == "faiss":
        return Subject(FaissCodebooks(), vectors)
    return Subject(PlainCodebooks(), [tuple(vector) for vector in vectors.tolist()])


async def test_a_codebook_is_for_vectors_of_one_dimension(subject: Subject) -> None:
    """The adapter satisfies the port: for others it cannot be used, nor where it is damaged."""
    learnt = await subject.codebooks.learn(subject.gallery)
    assert await subject.codebooks.can_be_used(learnt, DIMENSION)
    assert not await subject.codebooks.can_be_used(learnt, DIMENSION + 1)
    for damaged in (b"", b"of another time"):
        assert not await subject.codebooks.can_be_used(damaged, DIMENSION)


async def test_a_codebook_is_learnt_from_nobody(subject: Subject) -> None:
    """Whoever comes can be searched for by it, and nothing is measured."""
    nobody = subject.gallery[:0]
    learnt = await subject.codebooks.learn(nobody)
    assert await subject.codebooks.can_be_used(learnt, DIMENSION)
    assert await subject.codebooks.rehearse(learnt, nobody, subject.pages(of=slice(0))) == ()


async def test_shortlists_are_measured_from_the_one_in_use_to_the_longest(subject: Subject) -> None:
    """Each is twice as long as the one before, and finds as many at least; one that was written is in use."""
    learnt = await subject.codebooks.learn(subject.gallery)
    probes = subject.gallery[:100]
    recalls = await subject.codebooks.rehearse(learnt, probes, subject.pages(of=slice(None)))
    lengths = [recall.shortlist for recall in recalls]
    assert lengths == [lengths[0] * 2**doubled for doubled in range(len(lengths))]
    assert [recall.found for recall in recalls] == sorted(recall.found for recall in recalls)
    grown = subject.codebooks.with_shortlist(learnt, lengths[1])
    assert await subject.codebooks.can_be_used(grown, DIMENSION)
    assert await subject.codebooks.rehearse(grown, probes, subject.pages(of=slice(None))) == recalls[1:]


@pytest.mark.parametrize(("probes", "others"), [(slice(100), slice(100)), (slice(0), slice(None))])
async def test_nothing_is_measured_where_there_is_nobody_else(subject: Subject, probes: slice, others: slice) -> None:
    """Only those who are searched for, or only others."""
    learnt = await subject.codebooks.learn(subject.gallery)
    assert await subject.codebooks.rehearse(learnt, subject.gallery[probes], subject.pages(of=others)) == ()

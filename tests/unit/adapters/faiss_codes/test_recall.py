"""A gallery says itself how often a search finds the nearest user, by how many users it looks at closely."""

from collections.abc import Iterator
from uuid import UUID

import faiss
import numpy as np
import pytest

from adapters.faiss_codes import codebook, recall
from adapters.faiss_codes.codebook import learn, with_shortlist
from adapters.faiss_codes.codes import Codes
from adapters.faiss_codes.recall import rehearse
from tests.benchmarks.synthetic_faces import Vectors, photographed_twice
from tests.unit.adapters.faiss_codes.test_codes import ids

USERS = 8_000
PAGE = 1_500
TRIED = 500


def evenly_spread(count: int, seed: int) -> Vectors:
    """Return unit vectors whose variance falls but slowly along the axes, so that short codes tell little."""
    deviations = np.arange(1, 129, dtype=np.float32) ** -0.1
    vectors = np.random.default_rng(seed).standard_normal((count, 128), dtype=np.float32) * deviations
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def pages(vectors: Vectors) -> Iterator[Vectors]:
    """Yield them as they come from the database."""
    yield from np.array_split(vectors, -(-len(vectors) // PAGE))


def rehearsed(learnt: bytes, probes: Vectors, vectors: Vectors) -> dict[int, float]:
    """Return how often the nearest is found with each shortlist, the one in use first."""
    rehearsal = rehearse(learnt, probes)
    assert rehearsal is not None
    for page in pages(vectors):
        rehearsal.show(page)
    return {recall.shortlist: recall.found for recall in rehearsal.recall()}


def share_found(learnt: bytes, enrolled: Vectors, strangers: Vectors, *, cores: int) -> float:
    """Return for which share of strangers a search proposes the nearest user."""
    codes = Codes(learnt, cores=cores)
    codes.add(ids(len(enrolled)), enrolled)
    nearest = np.argmax(strangers @ enrolled.T, axis=1)
    return float(
        np.mean(
            [UUID(int=int(user)) in codes.near(probe.tolist()) for user, probe in zip(nearest, strangers, strict=True)]
        )
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Let faiss take one core: threads that wait for each other take the others from whoever tests there."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


@pytest.fixture(scope="module")
def enrolled() -> Vectors:
    """Return users of whom short codes tell little."""
    return evenly_spread(USERS, 1)


@pytest.fixture(scope="module")
def learnt(enrolled: Vectors) -> bytes:
    """Return what their codes are made by."""
    return learn(enrolled)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shortlists be as short as a gallery of some thousands."""
    for module in (codebook, recall):
        monkeypatch.setattr(module, "MOST", 4_096)
    monkeypatch.setattr(codebook, "LEAST", 256)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("at_once", [2_000, 2**20])
def test_where_short_codes_tell_little_a_longer_shortlist_finds_more(
    monkeypatch: pytest.MonkeyPatch, enrolled: Vectors, learnt: bytes, cores: int, at_once: int
) -> None:
    """Strangers then find whom the shortest shortlist misses for a tenth of them, as often as was measured."""
    monkeypatch.setattr(recall, "_CODES_AT_ONCE", at_once)
    strangers = evenly_spread(TRIED, 2)
    measured = rehearsed(learnt, enrolled[::16], enrolled)
    assert list(measured) == [256, 512, 1_024, 2_048, 4_096]
    grown = with_shortlist(learnt, 2_048)
    before, after = (share_found(each, enrolled, strangers, cores=cores) for each in (learnt, grown))
    assert measured[256] == pytest.approx(before, abs=0.06)
    assert before < 0.95
    assert min(measured[2_048], after) >= 0.995


@pytest.mark.usefixtures("short")
def test_a_shortlist_that_was_grown_is_the_first_of_those_measured(enrolled: Vectors, learnt: bytes) -> None:
    """It is not shortened, also where there are fewer users."""
    measured = rehearsed(learnt, enrolled[::16], enrolled)
    grown = with_shortlist(learnt, 2_048)
    assert rehearsed(grown, enrolled[::16], enrolled) == {length: measured[length] for length in (2_048, 4_096)}
    assert rehearsed(grown, enrolled[:500], enrolled[:1_000]) == {2_048: 1, 4_096: 1}


@pytest.mark.usefixtures("short")
def test_the_longest_shortlist_is_the_last_of_those_measured(
    monkeypatch: pytest.MonkeyPatch, enrolled: Vectors, learnt: bytes
) -> None:
    """Also where it finds too few, or is not twice as long as the one before."""
    for module in (codebook, recall):
        monkeypatch.setattr(module, "MOST", 700)
    measured = rehearsed(learnt, enrolled[::16], enrolled)
    assert list(measured) == [256, 512, 700]
    assert measured[256] < measured[512] < measured[700] < 0.99


@pytest.mark.parametrize("dimension", [128, 512])
def test_spread_as_faces_are_the_shortest_shortlist_is_enough(dimension: int) -> None:
    """Look-alikes in tens included."""
    enrolled = np.concatenate([photographed_twice(dimension, part)[0] for part in range(8)])
    assert rehearsed(learn(enrolled), enrolled[::16], enrolled)[1_024] == 1


@pytest.mark.usefixtures("short")
def test_users_who_are_the_same_count_as_one(enrolled: Vectors, learnt: bytes) -> None:
    """A probe's copies are not its nearest, and copies of the nearest do not keep each other from being found."""
    alone = rehearsed(learnt, enrolled[:500], enrolled[:3_000])
    copied = rehearsed(learnt, enrolled[:500], np.concatenate([enrolled[:3_000], enrolled[:500], enrolled[:500]]))
    assert copied == alone
    everybody = np.concatenate([enrolled[:500], np.repeat(enrolled[500:501], 4_000, axis=0)])
    assert rehearsed(learnt, enrolled[:500], everybody)[256] == 1


@pytest.mark.usefixtures("short")
def test_a_longer_shortlist_can_be_in_vain(enrolled: Vectors, learnt: bytes) -> None:
    """Where thousands of copies of somebody stand before the nearest user of a few, no length is better."""
    crowd = np.repeat(enrolled[600:601], 5_000, axis=0)
    measured = rehearsed(learnt, enrolled[:500], np.concatenate([enrolled[:756], crowd]))
    assert len(set(measured.values())) == 1
    assert 0.9 < measured[256] < 0.998


def test_nothing_is_measured_of_nobody(enrolled: Vectors, learnt: bytes) -> None:
    """As where all users have one and the same vector, and where vectors are kept as they are."""
    rehearsal = rehearse(learnt, enrolled[:1])
    assert rehearsal is not None
    rehearsal.show(enrolled[:0])
    rehearsal.show(np.repeat(enrolled[:1], 10, axis=0))
    assert rehearsal.recall() == ()
    assert rehearse(learnt, enrolled[:0]) is None
    assert rehearse(learn(enrolled[:10]), enrolled) is None

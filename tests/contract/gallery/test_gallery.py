"""What any gallery finds, and whom it never names."""

import math
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID, uuid4

import psycopg
import pytest

from application.ports.gallery import Gallery
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from tests.contract.gallery.conftest import Subject
from tests.tables import Tables

MODEL = "model@1"
PROBE = FaceEmbedding(MODEL, (1.0, 0.0, 0.0, 0.0))


def at_angle(degrees: float, *, length: float = 1.0, model: str = MODEL) -> FaceEmbedding:
    """Return an embedding at that angle to the probe."""
    radians = math.radians(degrees)
    return FaceEmbedding(model, (length * math.cos(radians), length * math.sin(radians), 0.0, 0.0))


def test_it_is_a_gallery(subject: Subject) -> None:
    """The adapter satisfies the port."""
    gallery: Gallery = subject.gallery
    assert gallery is subject.gallery


async def size(subject: Subject, model: str = MODEL) -> int:
    """Return among how many users a search finds somebody."""
    return (await subject.gallery.search(FaceEmbedding(model, PROBE.vector), limit=1)).gallery_size


async def test_nobody_is_found_where_nobody_is_enrolled(subject: Subject) -> None:
    """A user without a template is no candidate."""
    subject.tables.add_user(uuid4())
    assert list((await subject.gallery.search(PROBE, limit=2)).nearest) == []
    assert await size(subject) == 0


async def test_the_nearest_by_angle_come_first(subject: Subject) -> None:
    """The length of a vector means nothing, and the distance is one minus the cosine, from 0 to 2."""
    angles = {uuid4(): (60.0, 100.0), uuid4(): (0.0, 0.001), uuid4(): (180.0, 1.0), uuid4(): (30.0, 7.0)}
    for user, (angle, length) in angles.items():
        subject.tables.add_user(user, at_angle(angle, length=length))
    found = (await subject.gallery.search(PROBE, limit=10)).nearest
    expected = sorted(angles, key=lambda user: angles[user][0])
    assert [candidate.user_id for candidate in found] == expected
    distances = [1 - math.cos(math.radians(angles[user][0])) for user in expected]
    assert [candidate.distance for candidate in found] == pytest.approx(distances, abs=1e-6)
    assert await size(subject) == 4


@pytest.mark.parametrize("limit", [1, 2])
async def test_no_more_come_than_are_asked_for(subject: Subject, limit: int) -> None:
    """The nearest of all, not any."""
    users = [subject.tables.add_user(uuid4(), at_angle(angle)) for angle in (50.0, 10.0, 40.0, 20.0)]
    found = (await subject.gallery.search(PROBE, limit=limit)).nearest
    assert [candidate.user_id for candidate in found] == [users[1], users[3]][:limit]


async def test_of_users_at_the_same_distance_the_smaller_id_comes_first(subject: Subject) -> None:
    """Two searches, on two workers, name the same user."""
    ids = [UUID(int=number << 96 | 5) for number in (7, 1, 0x80000000, 3)]
    for user in ids:
        subject.tables.add_user(user, at_angle(20.0))
    found = (await subject.gallery.search(PROBE, limit=3)).nearest
    assert [candidate.user_id for candidate in found] == sorted(ids)[:3]


async def test_embeddings_of_different_models_are_never_compared(subject: Subject) -> None:
    """Only those of the probe's own model count, to the letter."""
    mine = subject.tables.add_user(uuid4(), at_angle(80.0))
    for model in ("model@2", "MODEL@1", "model@1 ", "model"):
        subject.tables.add_user(uuid4(), at_angle(0.0, model=model))
    assert [candidate.user_id for candidate in (await subject.gallery.search(PROBE, limit=5)).nearest] == [mine]
    assert [await size(subject, model) for model in (MODEL, "model@2", "model@3")] == [1, 1, 0]


async def test_an_embedding_without_a_model_is_of_an_unknown_one(subject: Subject) -> None:
    """It may be anybody's, and is compared with nothing."""
    user = subject.tables.add_user(uuid4())
    subject.tables.write_embedding(user, None, PROBE.vector)
    assert list((await subject.gallery.search(PROBE, limit=2)).nearest) == []
    assert await size(subject) == 0


async def test_a_model_without_an_embedding_is_nobody(subject: Subject) -> None:
    """Half of a template is none."""
    user = subject.tables.add_user(uuid4())
    subject.tables.write_embedding(user, MODEL, None)
    assert list((await subject.gallery.search(PROBE, limit=2)).nearest) == []
    assert await size(subject) == 0


@pytest.mark.parametrize("mark", [{"deleted": True}, {"blocked": True}, {"deleted": True, "blocked": True}])
async def test_deleted_and_blocked_users_are_not_named(subject: Subject, mark: dict[str, bool]) -> None:
    """From the very next search on; and from the first after the mark is taken away they are named again."""
    away, other = (subject.tables.add_user(uuid4(), at_angle(angle)) for angle in (0.0, 40.0))
    subject.tables.mark_user(away, **mark)
    assert [candidate.user_id for candidate in (await subject.gallery.search(PROBE, limit=2)).nearest] == [other]
    assert await size(subject) == 1
    subject.tables.mark_user(away)
    assert [candidate.user_id for candidate in (await subject.gallery.search(PROBE, limit=2)).nearest] == [away, other]


@pytest.mark.parametrize("length", [0.0, 1e-30, -1e-30, 1e-22, 1e30])
async def test_a_vector_without_direction_is_nobodys(subject: Subject, length: float) -> None:
    """The zero vector, or nearly so, which an application may have written, is no face and takes nobody's place."""
    nowhere, somewhere = subject.tables.add_user(uuid4()), subject.tables.add_user(uuid4(), at_angle(170.0))
    subject.tables.write_embedding(nowhere, MODEL, (length, length, length, length))
    found = (await subject.gallery.search(PROBE, limit=1)).nearest
    assert [candidate.user_id for candidate in found] == [somewhere]
    assert [candidate.user_id for candidate in (await subject.gallery.search(PROBE, limit=9)).nearest] == [somewhere]


async def test_however_many_are_without_direction_the_nearest_is_found(subject: Subject) -> None:
    """An application may have written such a vector for everybody whose template is still missing."""
    for number in range(1, 20):
        subject.tables.write_embedding(subject.tables.add_user(UUID(int=number)), MODEL, (1e-30,) * 4)
    users = [subject.tables.add_user(uuid4(), at_angle(angle)) for angle in (10.0, 20.0)]
    found = (await subject.gallery.search(PROBE, limit=4)).nearest
    assert [candidate.user_id for candidate in found] == users


@pytest.mark.parametrize("vector", [(1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0), (1.0,)], ids=len)
async def test_a_vector_of_another_dimension_is_nobodys(subject: Subject, vector: tuple[float, ...]) -> None:
    """It breaks no search, though the application says that it is of this model."""
    odd, even = subject.tables.add_user(uuid4()), subject.tables.add_user(uuid4(), at_angle(170.0))
    with suppress(psycopg.DataError):  # a typed column does not even take it
        subject.tables.write_embedding(odd, MODEL, vector)
    assert [candidate.user_id for candidate in (await subject.gallery.search(PROBE, limit=2)).nearest] == [even]


async def test_a_probe_of_another_dimension_finds_nobody(subject: Subject) -> None:
    """No column and no row that do not fit it break the search."""
    subject.tables.add_user(uuid4(), at_angle(0.0))
    assert (await subject.gallery.search(FaceEmbedding(MODEL, (1.0, 0.0)), limit=2)).nearest == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda tables, user: tables.delete_user(user),
        lambda tables, _: tables.add_user(uuid4(), at_angle(1.0)),
        lambda tables, user: tables.mark_user(user, blocked=True),
    ],
    ids=["left", "came", "blocked"],
)
async def test_those_who_are_few_are_counted_with_each_search(
    subject: Subject, change: Callable[[Tables, UUID], object]
) -> None:
    """The threshold follows from their number: who came or went a moment ago counts."""
    user = subject.tables.add_user(uuid4(), at_angle(0.0))
    assert await size(subject) == 1
    change(subject.tables, user)
    now = len((await subject.gallery.search(PROBE, limit=9)).nearest)
    assert now != 1
    assert await size(subject) == now


async def test_a_candidate_is_told_by_id_and_distance(subject: Subject) -> None:
    """An identical vector is at distance 0, not a little beside it."""
    user = subject.tables.add_user(uuid4(), PROBE)
    assert list((await subject.gallery.search(PROBE, limit=2)).nearest) == [Candidate(user, 0.0)]


async def test_without_its_database_it_says_so(subject: Subject) -> None:
    """The one error of the port."""
    await subject.stop()
    with pytest.raises(DatabaseUnavailableError):
        await subject.gallery.search(PROBE, limit=2)

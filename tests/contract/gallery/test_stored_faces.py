"""Whom a stored face is nearest to now."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import attrs
import pytest
import pytest_asyncio

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.gallery.stored_faces import PostgresStoredFaces
from application.ports.gallery import StoredFaces
from application.ports.reenrolment import Reenrolment
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryStoredFaces
from tests.fakes.reenrolment import InMemoryReenrolment
from tests.tables import Tables

PROBE = FaceEmbedding("model@1", (1.0, 0.0, 0.0, 0.0))


@attrs.frozen
class Subject:
    """What compares stored faces, as the tables' owner; re-enrolment, the tables, and a way to make the database go."""

    faces: StoredFaces
    reenrolment: Reenrolment
    tables: Tables
    stop: Callable[[], Awaitable[None]]

    async def nearest(self, face: UUID) -> list[UUID]:
        """Return whom the face is nearest to."""
        return [candidate.user_id for candidate in await self.faces.nearest(face, limit=9)]


def _in_memory() -> Subject:
    database = InMemoryDatabase()

    async def stop() -> None:
        database.available = False

    return Subject(InMemoryStoredFaces(database), InMemoryReenrolment(database), database, stop)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each of them in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        database = Database(prepared_database.owner_url)
        await database.open()
        try:
            yield Subject(PostgresStoredFaces(database), PostgresReenrolment(database), tables, database.close)
        finally:
            await database.close()


async def test_the_nearest_who_may_be_named_come_first(subject: Subject) -> None:
    """No more than are asked for; nobody deleted, blocked or of another model, and no template without direction."""
    tables = subject.tables
    face = tables.add_face(tables.add_photo(uuid4()), PROBE)
    assert await subject.nearest(face) == []
    far = tables.add_user(uuid4(), FaceEmbedding(PROBE.model, (-1.0, 0.0, 0.0, 0.0)))
    same = tables.add_user(uuid4(), FaceEmbedding(PROBE.model, (2.0, 0.0, 0.0, 0.0)))
    near = tables.add_user(uuid4(), FaceEmbedding(PROBE.model, (1.0, 1.0, 0.0, 0.0)))
    tables.add_user(uuid4(), PROBE, deleted=True)
    tables.add_user(uuid4(), PROBE, blocked=True)
    tables.add_user(uuid4(), FaceEmbedding("model@2", PROBE.vector))
    tables.write_embedding(tables.add_user(uuid4()), PROBE.model, (0.0, 0.0, 0.0, 0.0))
    found = await subject.faces.nearest(face, limit=2)
    assert [candidate.user_id for candidate in found] == [same, near]
    assert [candidate.distance for candidate in found] == pytest.approx([0, 1 - 0.5**0.5], abs=1e-6)
    assert await subject.nearest(face) == [same, near, far]
    assert await subject.nearest(uuid4()) == []


async def test_however_many_are_without_direction_the_nearest_is_found(subject: Subject) -> None:
    """Vectors that are all but zero take nobody's place, as in a job's search."""
    for number in range(1, 20):
        subject.tables.write_embedding(subject.tables.add_user(UUID(int=number)), PROBE.model, (1e-30,) * 4)
    face = subject.tables.add_face(subject.tables.add_photo(uuid4()), PROBE)
    same = subject.tables.add_user(uuid4(), PROBE)
    found = await subject.faces.nearest(face, limit=3)
    assert [candidate.user_id for candidate in found] == [same]


async def test_faces_of_another_embedder_than_the_gallery_s_are_near_nobody(subject: Subject) -> None:
    """Nor are any while users are switched, though some still have a template of the face's embedder."""
    tables, other = subject.tables, FaceEmbedding("model@2", PROBE.vector)
    faces = [tables.add_face(tables.add_photo(uuid4()), embedding) for embedding in (PROBE, other)]
    users = [tables.add_user(uuid4(), embedding) for embedding in (PROBE, other)]
    assert [await subject.nearest(face) for face in faces] == [[users[0]], [users[1]]]
    await subject.reenrolment.begin(PROBE.model)
    assert [await subject.nearest(face) for face in faces] == [[], []]
    await subject.reenrolment.finish(PROBE.model)
    assert [await subject.nearest(face) for face in faces] == [[users[0]], []]


async def test_without_its_database_it_says_so(subject: Subject) -> None:
    """The one error of the port."""
    await subject.stop()
    with pytest.raises(DatabaseUnavailableError):
        await subject.faces.nearest(uuid4(), limit=1)

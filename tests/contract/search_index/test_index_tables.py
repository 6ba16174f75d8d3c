"""Whoever keeps the tables of indexes has everybody in them, and knows what was learnt."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from uuid import UUID, uuid4

import attrs
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from adapters.postgres.search_index.index_tables import PostgresIndexTables
from application.ports.search_index import Difference, IndexRefusedError, IndexTables, Model, Space
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase
from tests.fakes.database import InMemoryDatabase
from tests.fakes.progress import unheard
from tests.fakes.search_index import InMemoryIndexTables
from tests.tables import Tables

SPACE = Space("to index@1", 4)
LARGER = Space(SPACE.model, 5)
USERS = [UUID(int=number) for number in range(1, 6)]


@attrs.frozen
class Subject:
    """The tables under test, five users of one model beside them, and what an application does to these.

    It keeps a user ``locked`` within a block, and may have nothing follow its users any more.
    """

    index: IndexTables[Sized]
    tables: Tables
    locked: Callable[[UUID], AbstractContextManager[None]]
    stop_following: Callable[[], object]

    def enrol(self, user: UUID) -> None:
        """Have a user of the model, each with another vector."""
        self.tables.add_user(user, FaceEmbedding(SPACE.model, (1.0, 0.0, 0.0, float(user.int % 97))))

    async def follow(self, space: Space = SPACE) -> None:
        """Have an index, empty if there was none, in which users are followed from now on."""
        await self.index.follow(space, await self.index.look(space.model))

    async def model(self) -> Model | None:
        """Return what is known of the model."""
        return next((model for model in await self.index.models() if model.name == SPACE.model), None)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each in turn."""
    if prepared_database is None:
        database = InMemoryDatabase()
        in_memory = InMemoryIndexTables(database)
        made = Subject(
            in_memory, database, partial(_locked_in_memory, database), partial(in_memory.stop_following, SPACE.model)
        )
        for user in USERS:
            made.enrol(user)
        yield made
        return
    with prepared_database.tables() as tables:
        async with PostgresIndexTables.opened(prepared_database.owner_url) as index:
            stop_following = partial(tables.run, "ALTER TABLE {users} DISABLE TRIGGER USER")
            made = Subject(index, tables, partial(_locked, prepared_database), stop_following)
            for user in USERS:
                made.enrol(user)
            yield made
            await index.drop(SPACE.model)


@contextmanager
def _locked_in_memory(database: InMemoryDatabase, user: UUID) -> Iterator[None]:
    database.locked.add(user)
    yield
    database.locked.remove(user)


@contextmanager
def _locked(prepared: PreparedDatabase, user: UUID) -> Iterator[None]:
    query = sql.SQL("SELECT FROM {} WHERE id = {} FOR UPDATE")
    with psycopg.connect(prepared.owner_url) as application:
        application.execute(query.format(sql.Identifier(prepared.schema, "users"), sql.Literal(user)))
        yield


async def test_whoever_was_there_is_copied_and_whoever_comes_is_in_it_at_once(subject: Subject) -> None:
    """The adapter satisfies the port: the index is followed before it is filled."""
    assert await subject.index.look(SPACE.model) is None
    await subject.follow()
    subject.enrol(uuid4())
    before = await subject.index.compare(SPACE)
    assert (before.users, before.indexed, before.missing, before.rows) == (6, 1, 5, 5)
    assert set(before.examples) == set(USERS)
    copied: list[int] = []
    await subject.index.fill(SPACE, copied.append)
    await subject.index.settle(SPACE)
    assert sum(copied) == 5
    after = await subject.index.compare(SPACE)
    assert (after.users, after.indexed, after.rows) == (6, 6, 0)
    assert await subject.index.size(SPACE) > 0


async def test_an_index_that_is_there_is_followed_anew(subject: Subject) -> None:
    """With whom it has."""
    await subject.follow()
    await subject.index.fill(SPACE, unheard)
    await subject.follow()
    assert (await subject.index.compare(SPACE)).indexed == 5


async def test_an_index_follows_its_model_to_another_dimension_and_back(subject: Subject) -> None:
    """Who was in it is left over, and whoever has the new one missing, until it is filled."""
    await subject.follow()
    await subject.index.fill(SPACE, unheard)
    await subject.follow(LARGER)
    subject.enrol(uuid4())
    larger = await subject.index.compare(LARGER)
    assert (larger.users, larger.indexed, larger.left_over, larger.rows) == (0, 5, 5, 5)
    assert set(larger.examples) == set(USERS)
    await subject.index.fill(LARGER, unheard)
    assert await subject.index.compare(LARGER) == Difference(0, 0, 0, 0, 0)
    await subject.follow()
    subject.enrol(uuid4())
    again = await subject.index.compare(SPACE)
    assert (again.users, again.indexed, again.missing, again.rows) == (7, 1, 6, 6)
    await subject.index.fill(SPACE, unheard)
    assert await subject.index.compare(SPACE) == Difference(7, 7, 0, 0, 0)


async def test_what_nobody_followed_is_told_and_put_right(subject: Subject) -> None:
    """Who is missing, left over and different; whoever is deleted once it is followed again is neither."""
    await subject.follow()
    await subject.index.fill(SPACE, unheard)
    subject.stop_following()
    state = await subject.index.look(SPACE.model)
    assert state is not None
    assert not state.is_kept
    newcomer = uuid4()
    subject.enrol(newcomer)
    subject.tables.delete_user(USERS[0])
    subject.tables.write_embedding(USERS[1], SPACE.model, (0.0, 0.0, 0.0, 1.0))
    await subject.follow()
    subject.tables.delete_user(USERS[2])
    found = await subject.index.compare(SPACE)
    assert (found.users, found.indexed, found.missing, found.left_over, found.different) == (4, 4, 1, 1, 1)
    assert set(found.examples) == {newcomer, USERS[0], USERS[1]}
    await subject.index.fill(SPACE, unheard)
    assert await subject.index.compare(SPACE) == Difference(4, 4, 0, 0, 0)


async def test_a_vector_without_a_direction_is_left_out(subject: Subject) -> None:
    """It is near to nobody."""
    subject.tables.write_embedding(USERS[0], SPACE.model, (0.0, 0.0, 0.0, 0.0))
    await subject.follow()
    await subject.index.fill(SPACE, unheard)
    assert await subject.index.compare(SPACE) == Difference(4, 4, 0, 0, 0)


async def test_rows_that_somebody_keeps_locked_are_left_to_a_later_pass(subject: Subject) -> None:
    """Nobody waits in line for them, and all others are copied."""
    await subject.follow()
    copied: list[int] = []
    with subject.locked(USERS[0]):
        async with asyncio.timeout(10):
            await subject.index.fill(SPACE, copied.append)
        assert await subject.index.compare(SPACE) == Difference(5, 4, 1, 0, 0, (USERS[0],))
    await subject.index.fill(SPACE, copied.append)
    assert (await subject.index.compare(SPACE)).rows == 0
    assert sum(copied) == 5


async def test_vectors_of_too_many_dimensions_are_refused(subject: Subject) -> None:
    """Before anything is made, and in words."""
    with pytest.raises(IndexRefusedError, match="4001 dimensions, and 4000 at most"):
        await subject.follow(Space(SPACE.model, 4_001))
    assert await subject.index.look(SPACE.model) is None
    await subject.follow(Space(SPACE.model, 4_000))
    assert await subject.index.look(SPACE.model) is not None


async def test_vectors_are_read_from_the_index(subject: Subject) -> None:
    """All of them page by page, after it was told where that is; a sample has as many as there are at most."""
    await subject.follow()
    assert [len(page) async for page in subject.index.pages(SPACE, unheard)] == []
    assert len(await subject.index.sample(SPACE, 100, of=0, seed=1)) == 0
    await subject.index.fill(SPACE, unheard)
    told: list[int] = []
    read: list[int] = []
    async for page in subject.index.pages(SPACE, lambda done, _of: told.append(done)):
        read.append(len(page))
        assert len(told) == len(read)
    assert sum(read) == 5
    assert told[0] == 0
    assert len(await subject.index.sample(SPACE, 100, of=5, seed=1)) == 5


async def test_a_codebook_is_kept_with_what_it_was_learnt_from(subject: Subject) -> None:
    """Another one takes its place; an index serves its dimension from then on."""
    await subject.follow()
    assert await subject.index.codebook(SPACE.model) is None
    for content, learnt_from in ((b"one", 5), (b"another", 7)):
        await subject.index.keep_codebook(SPACE, content, learnt_from=learnt_from)
        state = await subject.index.look(SPACE.model)
        assert state is not None
        assert (await subject.index.codebook(SPACE.model), state.learnt_from) == (content, learnt_from)
        assert [state.serves(dimension) for dimension in (4, 5)] == [True, False]


async def test_models_are_told_with_their_users_and_whether_they_have_an_index(subject: Subject) -> None:
    """Also where nobody is left of one; and one that was dropped is gone."""
    assert await subject.model() == Model(SPACE.model, 4, 5, is_indexed=False)
    await subject.follow()
    assert await subject.model() == Model(SPACE.model, 4, 5, is_indexed=True)
    for user in USERS:
        subject.tables.delete_user(user)
    assert await subject.model() == Model(SPACE.model, None, 0, is_indexed=True)
    await subject.index.drop(SPACE.model)
    assert await subject.model() is None
    assert await subject.index.look(SPACE.model) is None

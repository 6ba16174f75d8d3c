"""Whoever keeps the tables of indexes has everybody in them, and knows what was learnt."""

from collections.abc import AsyncIterator, Sized
from uuid import UUID, uuid4

import attrs
import pytest_asyncio

from adapters.postgres.search_index.index_tables import PostgresIndexTables
from application.ports.search_index import IndexTables, Model, Space
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase
from tests.fakes.database import InMemoryDatabase
from tests.fakes.progress import unheard
from tests.fakes.search_index import InMemoryIndexTables
from tests.tables import Tables

SPACE = Space("to index@1", 4)
USERS = [UUID(int=number) for number in range(1, 6)]


@attrs.frozen
class Subject:
    """The tables under test, five users of one model beside them, and what an application does to these."""

    index: IndexTables[Sized]
    tables: Tables

    def enrol(self, user: UUID) -> None:
        """Have a user of the model, each with another vector."""
        self.tables.add_user(user, FaceEmbedding(SPACE.model, (1.0, 0.0, 0.0, float(user.int % 97))))

    async def follow(self) -> None:
        """Have an empty index that is followed from now on."""
        await self.index.follow(SPACE, await self.index.look(SPACE.model))

    async def model(self) -> Model | None:
        """Return what is known of the model."""
        return next((model for model in await self.index.models() if model.name == SPACE.model), None)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each in turn."""
    if prepared_database is None:
        database = InMemoryDatabase()
        made = Subject(InMemoryIndexTables(database), database)
        for user in USERS:
            made.enrol(user)
        yield made
        return
    with prepared_database.tables() as tables:
        async with PostgresIndexTables.opened(prepared_database.owner_url) as index:
            made = Subject(index, tables)
            for user in USERS:
                made.enrol(user)
            yield made
            await index.drop(SPACE.model)


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


async def test_vectors_are_read_from_the_index(subject: Subject) -> None:
    """All of them page by page, after it was told where that is; a sample has as many as there are at most."""
    await subject.follow()
    assert [len(page) async for page in subject.index.pages(SPACE, unheard)] == []
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

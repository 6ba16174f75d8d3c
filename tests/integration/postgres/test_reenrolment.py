"""Who writes to users while their templates are switched, and how much one statement may move."""

from uuid import UUID, uuid4

import pytest

from adapters.postgres.database import Database
from adapters.postgres.reenrolment import PostgresReenrolment
from application.ports.reenrolment import Switched
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase
from tests.integration.postgres.use import waiting_for
from tests.tables import PostgresTables

OLD, NEW = FaceEmbedding("old@1", (1.0, 0.0, 0.0, 0.0)), FaceEmbedding("new@1", (0.0, 1.0, 0.0, 0.0))
_USERS = 1_000


async def prepared_user(reenrolment: PostgresReenrolment, tables: PostgresTables) -> UUID:
    """Make a user for whom a template is prepared."""
    user = tables.add_user(uuid4(), OLD)
    [outdated] = await reenrolment.outdated(NEW.model, after=None, limit=9)
    await reenrolment.prepare(outdated, NEW, photographs=1)
    return user


def model_of(tables: PostgresTables, user: UUID) -> str:
    """Return whose template a user has."""
    [(model,)] = tables.run("SELECT face_embedding_model FROM {users} WHERE id = %s", user)
    return str(model)


@pytest.mark.parametrize(
    ("change", "switched", "model"),
    [
        ("UPDATE users SET face_embedding = '[0,0,1,0]', face_embedding_model = 'own@1' WHERE id = %s", 0, "own@1"),
        ("UPDATE users SET face_embedding = NULL, face_embedding_model = NULL WHERE id = %s", 0, "None"),
        ("UPDATE users SET deleted_at = now() WHERE id = %s", 0, "old@1"),
        ("UPDATE users SET blocked = true WHERE id = %s", 1, "new@1"),
    ],
)
async def test_a_change_that_is_not_committed_yet_is_waited_for(
    change: str, switched: int, model: str, database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Then the user is judged as they are: a template that is newer than what was prepared is not overwritten."""
    reenrolment = PostgresReenrolment(database)
    user = await prepared_user(reenrolment, tables)
    switch = reenrolment.switch(NEW.model, after=None, limit=9)
    assert await waiting_for(prepared, change, [user], work=switch) == Switched(switched, user)
    assert model_of(tables, user) == model


async def test_a_page_is_moved_within_a_statements_time(database: Database, tables: PostgresTables) -> None:
    """Everything of it or nothing; and what is prepared is looked for along the key, not in all of the table."""
    reenrolment = PostgresReenrolment(database)
    tables.run(
        "INSERT INTO {users} (id, face_embedding, face_embedding_model) "
        "SELECT gen_random_uuid(), '[1,0,0,0]', 'old@1' FROM generate_series(1, %s)",
        _USERS,
    )
    for user in await reenrolment.outdated(NEW.model, after=None, limit=_USERS):
        await reenrolment.prepare(user, NEW, photographs=1)
    first = await reenrolment.switch(NEW.model, after=None, limit=_USERS // 2)
    assert first.users == _USERS // 2
    assert await reenrolment.count(NEW.model) == _USERS // 2
    [(left,)] = tables.run("SELECT count(*) FROM facematch.prepared_templates")
    assert left == _USERS // 2


async def test_a_failure_moves_nobody(database: Database, tables: PostgresTables) -> None:
    """Where one user's row cannot be written, the page is as it was."""
    reenrolment = PostgresReenrolment(database)
    user = await prepared_user(reenrolment, tables)
    tables.run("ALTER TABLE {users} ADD CONSTRAINT no_new CHECK (face_embedding_model <> 'new@1') NOT VALID")
    try:
        with pytest.raises(DatabaseUnavailableError, match=r'refused: .* violates check constraint "no_new"'):
            await reenrolment.switch(NEW.model, after=None, limit=9)
    finally:
        tables.run("ALTER TABLE {users} DROP CONSTRAINT no_new")
    assert model_of(tables, user) == "old@1"
    assert (await reenrolment.switch(NEW.model, after=None, limit=9)).users == 1

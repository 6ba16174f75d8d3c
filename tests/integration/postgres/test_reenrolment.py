"""Who writes to users while their templates are switched, and how much one statement may move."""

from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from domain.errors import DatabaseRefusedError
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase
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


async def switched(reenrolment: PostgresReenrolment, limit: int = 9) -> int:
    """Switch everybody who is prepared, or as many; return how many were."""
    return await reenrolment.switch(NEW.model, await reenrolment.prepared(NEW.model, after=None, limit=limit))


@pytest.mark.parametrize(
    ("change", "is_switched", "model"),
    [
        ("UPDATE users SET face_embedding = '[0,0,1,0]', face_embedding_model = 'own@1' WHERE id = %s", 0, "own@1"),
        ("UPDATE users SET face_embedding = NULL, face_embedding_model = NULL WHERE id = %s", 0, "None"),
        ("UPDATE users SET deleted_at = now() WHERE id = %s", 0, "old@1"),
        ("UPDATE users SET blocked = true WHERE id = %s", 1, "new@1"),
    ],
)
async def test_nobody_is_switched_whom_another_transaction_changes(
    change: str, is_switched: int, model: str, database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Nor is it waited for, which could be a deadlock; when it is over, the user is judged as they are."""
    reenrolment = PostgresReenrolment(database)
    user = await prepared_user(reenrolment, tables)
    with psycopg.connect(prepared.owner_url) as application:
        application.execute(change.encode(), [user])
        assert (await reenrolment.can_switch(NEW.model, user), await switched(reenrolment)) == (False, 0)
    assert await switched(reenrolment) == is_switched
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
    assert await switched(reenrolment, _USERS // 2) == _USERS // 2
    assert await reenrolment.count(NEW.model) == _USERS // 2
    [(left,)] = tables.run("SELECT count(*) FROM facematch.prepared_templates")
    assert left == _USERS // 2


async def test_a_failure_moves_nobody(database: Database, tables: PostgresTables) -> None:
    """Where one user's row cannot be written, the page is as it was."""
    reenrolment = PostgresReenrolment(database)
    user = await prepared_user(reenrolment, tables)
    tables.run("ALTER TABLE {users} ADD CONSTRAINT no_new CHECK (face_embedding_model <> 'new@1') NOT VALID")
    try:
        for call in switched(reenrolment), reenrolment.can_switch(NEW.model, user):
            with pytest.raises(DatabaseRefusedError, match=r'refused: .* violates check constraint "no_new"'):
                await call
    finally:
        tables.run("ALTER TABLE {users} DROP CONSTRAINT no_new")
    assert model_of(tables, user) == "old@1"
    assert await switched(reenrolment) == 1


async def test_a_trigger_that_swallows_the_change_is_seen(
    prepared: PreparedDatabase, database: Database, tables: PostgresTables
) -> None:
    """Whoever it lets nobody switch counts as not switched, and stays prepared."""
    reenrolment = PostgresReenrolment(database)
    user = await prepared_user(reenrolment, tables)
    with psycopg.connect(prepared.owner_url, autocommit=True) as owner:
        owner.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        owner.execute("CREATE TRIGGER swallows BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION swallow()")
        try:
            assert (await reenrolment.can_switch(NEW.model, user), await switched(reenrolment)) == (False, 0)
        finally:
            owner.execute("DROP FUNCTION swallow CASCADE")
    assert (model_of(tables, user), await switched(reenrolment)) == ("old@1", 1)

"""Who writes between the look and the write of :meth:`PostgresLedger.conclude_face`, and what comes of it.

The ledger asks for new ids in the middle of its transaction: that is where some of these tests do what others do. In
the others somebody has not committed yet, and the ledger waits.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.ledger import CandidateGoneError
from domain.outcomes import Reason
from domain.records import Failed, JobRecord
from tests.contract.ledger.jobs import accepted, embedding, header, later, record, recorded, unknown
from tests.databases import PreparedDatabase
from tests.integration.postgres.use import meanwhile, opened, waiting_for
from tests.tables import PostgresTables

_GIVE_UP = (
    "INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, face_index, outcome, reason, detail, embedder, "
    "worker, occurred_at) VALUES (%s, %s, %s, 0, 'failed', %s, 'gave up', %s, %s, %s)"
)
_REPLACE_USERS = """
DO $$
DECLARE
    one users;
BEGIN
    DELETE FROM users RETURNING * INTO one;
    INSERT INTO users VALUES (one.*);
END
$$
"""


def ids(*interruptions: Callable[[], object] | None) -> Callable[[], UUID]:
    """Return a source of ids that does one thing after the other, one for each id (None: nothing)."""
    waiting = list(interruptions)

    def new_id() -> UUID:
        interruption = waiting.pop(0) if waiting else None
        if interruption is not None:
            interruption()
        return uuid4()

    return new_id


def parameters(failed: JobRecord) -> list[object]:
    """Return what :data:`_GIVE_UP` takes."""
    return [
        failed.key.sequence,
        failed.key.stored_at,
        failed.photo_id,
        Reason.EMBEDDER_TIMEOUT,
        failed.embedder,
        failed.worker,
        failed.occurred_at,
    ]


async def test_an_outcome_that_is_recorded_meanwhile_stands(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """A job that was given up while its face was being written has no face and no match."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    failed = record(Failed(Reason.EMBEDDER_TIMEOUT, "gave up"), photo_id=photo, occurred_at=later(60))

    def give_up() -> None:
        with psycopg.connect(prepared.owner_url, autocommit=True) as connection:
            connection.execute(_GIVE_UP, parameters(failed))

    ledger = PostgresLedger(database, new_id=ids(None, give_up))
    assert await ledger.conclude_face(header(photo, job=failed.key), accepted(user)) == failed
    assert (tables.faces(), tables.matches()) == ([], [])
    assert await recorded(ledger, failed.key) == failed


async def test_an_outcome_that_is_not_committed_yet_stands(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Who recorded first has the last word, though nobody else could see it at first."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    failed = record(Failed(Reason.EMBEDDER_TIMEOUT, "gave up"), photo_id=photo, occurred_at=later(60))
    ledger = PostgresLedger(database)
    concluding = ledger.conclude_face(header(photo, job=failed.key), accepted(user))
    assert await waiting_for(prepared.owner_url, _GIVE_UP, parameters(failed), work=concluding) == failed
    assert (tables.faces(), tables.matches()) == ([], [])
    assert await recorded(ledger, failed.key) == failed


async def test_a_photo_that_is_deleted_meanwhile_is_not_found(database: Database, tables: PostgresTables) -> None:
    """A second look, under the photo's lock, sees that it is gone."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    ledger = PostgresLedger(database, new_id=ids(lambda: tables.delete_photo(photo)))
    told = await ledger.conclude_face(header(photo), accepted(user))
    assert told.outcome.reason is Reason.PHOTO_NOT_FOUND
    assert tables.faces() == []


async def test_a_photo_whose_deletion_is_not_committed_yet_is_not_found(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Its lock is not to be had until it is known whether it stays."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    concluding = PostgresLedger(database).conclude_face(header(photo), accepted(user))
    told = await waiting_for(prepared.owner_url, "DELETE FROM photos WHERE id = %s", [photo], work=concluding)
    assert told.outcome.reason is Reason.PHOTO_NOT_FOUND
    assert tables.faces() == []


async def test_a_user_who_was_deleted_and_inserted_again_meanwhile_is_enrolled(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """The row that was waited for is gone, and no trigger has swallowed the template: it is saved in the new one."""
    user = tables.add_user(uuid4())
    saved = await waiting_for(
        prepared.owner_url,
        _REPLACE_USERS,
        [],
        work=PostgresEnrolment(database).save_template(user, embedding(1.0), photographs=1),
    )
    assert (saved, tables.run("SELECT face_embedding IS NOT NULL FROM {users}")) == (True, [(True,)])


async def test_a_user_who_is_deleted_meanwhile_is_not_named(database: Database, tables: PostgresTables) -> None:
    """The caller searches again, and nothing of this attempt is left."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    job = header(photo)
    ledger = PostgresLedger(database, new_id=ids(None, lambda: tables.delete_user(user)))
    with pytest.raises(CandidateGoneError):
        await ledger.conclude_face(job, accepted(user))
    assert (tables.faces(), await recorded(ledger, job.key)) == ([], None)


async def test_a_user_whose_deletion_is_not_committed_yet_is_not_named(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """A match is written only once it is known that its user stays."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    job, ledger = header(photo), PostgresLedger(database)
    with pytest.raises(ExceptionGroup) as raised:
        await waiting_for(
            prepared.owner_url,
            "DELETE FROM users WHERE id = %s",
            [user],
            work=ledger.conclude_face(job, accepted(user)),
        )
    assert raised.group_contains(CandidateGoneError, depth=1)
    assert (tables.faces(), await recorded(ledger, job.key)) == ([], None)


@pytest.mark.parametrize(
    "lock", ["LOCK TABLE face_matches IN SHARE ROW EXCLUSIVE MODE", "PERFORM FROM users FOR UPDATE"]
)
@pytest.mark.parametrize(
    "change", ["blocked = true", "deleted_at = now()", "face_embedding = NULL", "face_embedding_model = 'other@1'"]
)
async def test_a_user_who_stops_being_a_candidate_while_the_match_waits_for_a_lock_is_not_named(
    prepared: PreparedDatabase, tables: PostgresTables, lock: LiteralString, change: LiteralString
) -> None:
    """Whether it waits before it begins, or for the user whom it refers to, at its end; prepared as in a worker."""
    user = tables.add_user(uuid4(), embedding(1.0))
    async with opened(prepared.url, size=1) as database:
        ledger = PostgresLedger(database)
        for _ in range(4):
            await ledger.conclude_face(header(tables.add_photo(uuid4())), accepted(user))
        photo = tables.add_photo(uuid4())
        job, before = header(photo), tables.matches()
        with pytest.raises(ExceptionGroup) as raised:
            await waiting_for(
                prepared.owner_url,
                f"DO $$ BEGIN {lock}; UPDATE users SET {change}; END $$",
                [],
                work=ledger.conclude_face(job, accepted(user)),
            )
        assert raised.group_contains(CandidateGoneError, depth=1)
        assert await recorded(ledger, job.key) is None
    assert (tables.matches(), [face for face in tables.faces() if face.photo_id == photo]) == (before, [])


async def test_where_keys_are_checked_in_commit_the_match_waits_before_it_too(database_url: str) -> None:
    """Frameworks make foreign keys that are deferred: a user is not named who is blocked while COMMIT would wait."""
    await migrate(database_url)
    with closing(PostgresTables(database_url)) as tables:
        tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
        [(key,)] = tables.run(
            "SELECT conname FROM pg_constraint "
            "WHERE conrelid = 'face_matches'::regclass AND confrelid = 'users'::regclass"
        )
        tables.run(f'ALTER TABLE {{face_matches}} RENAME CONSTRAINT {key} TO "a ""key"""')
        tables.run('ALTER TABLE {face_matches} ALTER CONSTRAINT "a ""key""" DEFERRABLE INITIALLY DEFERRED')
        user, photo = tables.add_user(uuid4(), embedding(1.0)), tables.add_photo(uuid4())
        async with opened(database_url) as database:
            with pytest.raises(ExceptionGroup) as raised:
                await waiting_for(
                    database_url,
                    "DO $$ BEGIN PERFORM FROM users FOR UPDATE; UPDATE users SET blocked = true; END $$",
                    [],
                    work=PostgresLedger(database).conclude_face(header(photo), accepted(user)),
                )
        assert raised.group_contains(CandidateGoneError, depth=1)
        assert (tables.matches(), tables.faces()) == ([], [])


async def test_a_face_that_the_application_writes_meanwhile_is_updated(
    database: Database, tables: PostgresTables
) -> None:
    """There is one row for each photo and index, the application's, with what the job saw."""
    photo, theirs = tables.add_photo(uuid4()), uuid4()

    def write_face() -> None:
        tables.run("INSERT INTO {photo_faces} (id, photo_id, face_index) VALUES (%s, %s, 0)", theirs, photo)

    ledger = PostgresLedger(database, new_id=ids(write_face))
    told = await ledger.conclude_face(header(photo), unknown())
    assert told.outcome.reason is Reason.NO_MATCH
    [face] = tables.faces()
    assert (face.id, face.embedding) == (theirs, unknown().embedding)


async def test_a_face_that_the_application_has_not_committed_yet_is_updated(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """It keeps its id, and nobody writes a second one beside it."""
    photo, theirs = tables.add_photo(uuid4()), uuid4()
    told = await waiting_for(
        prepared.owner_url,
        "INSERT INTO photo_faces (id, photo_id, face_index) VALUES (%s, %s, 0)",
        [theirs, photo],
        work=PostgresLedger(database).conclude_face(header(photo), unknown()),
    )
    assert told.outcome.reason is Reason.NO_MATCH
    [face] = tables.faces()
    assert (face.id, face.embedding) == (theirs, unknown().embedding)


async def test_jobs_for_different_photos_do_not_wait_for_each_other(
    database: Database, prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """One is in the middle of its transaction, and the other goes from its beginning to its end."""
    first, second = tables.add_photo(uuid4()), tables.add_photo(uuid4())
    user = tables.add_user(uuid4(), embedding(1.0))

    async def overtake() -> None:
        async with opened(prepared.url) as other:
            await PostgresLedger(other).conclude_face(header(second), accepted(user))
        assert [face.photo_id for face in tables.faces()] == [second]

    ledger = PostgresLedger(database, new_id=ids(lambda: meanwhile(overtake)))
    told = await ledger.conclude_face(header(first), accepted(user))
    assert told.outcome.kind == "matched"
    assert sorted(face.photo_id for face in tables.faces()) == sorted([first, second])


async def test_without_the_unique_constraint_the_lock_keeps_faces_apart(
    database: Database, tables: PostgresTables
) -> None:
    """An application's table may lack it: many jobs at once still write one row."""
    photo = tables.add_photo(uuid4())
    tables.run("ALTER TABLE {photo_faces} DROP CONSTRAINT photo_faces_photo_id_face_index_key")
    try:
        ledger = PostgresLedger(database)
        await asyncio.gather(*(ledger.conclude_face(header(photo), unknown()) for _ in range(8)))
        assert len(tables.faces()) == 1
    finally:
        tables.run("ALTER TABLE {photo_faces} ADD UNIQUE (photo_id, face_index)")


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_the_databases_default_isolation_does_not_matter(
    admin: psycopg.Connection, database_url: str, isolation: str
) -> None:
    """What waited for others sees what they committed, and nothing fails because it ran at the same time."""
    name = sql.Identifier(admin.info.dbname)
    admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(name, isolation))
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD deleted_at timestamptz, ADD blocked boolean")
    tables = PostgresTables(database_url)
    user = tables.add_user(uuid4(), embedding(1.0))
    async with opened(database_url, size=8) as database:
        ledger = PostgresLedger(database)

        async def work(photo: UUID, given: JobRecord) -> None:
            job = header(photo)
            await ledger.recall(job.key, photo)
            told = await ledger.conclude_face(job, accepted(user))
            await ledger.conclude(given)
            assert await recorded(ledger, job.key) == told
            await ledger.mark_published([job.key, given.key])

        photos = {tables.add_photo(uuid4()): record() for _ in range(30)}
        await asyncio.gather(*(work(photo, given) for photo, given in photos.items() for _ in range(3)))
    assert len(tables.matches()) == len(tables.faces()) == len(photos)
    tables.close()

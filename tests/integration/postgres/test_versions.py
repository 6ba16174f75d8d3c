"""Workers of two versions on one database, as in a rolling update."""

from uuid import uuid4

from adapters.postgres.records.ledger import PostgresLedger
from domain.outcomes import Reason
from tests.contract.ledger.jobs import accepted, embedding, header, key
from tests.databases import PreparedDatabase
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables


async def test_a_newer_version_s_outcome_holds_up_no_event(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """A reason that this version does not know is left to the newer one; all other events are still found."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    async with opened(prepared.url, size=1) as database:
        ledger = PostgresLedger(database)
        told = await ledger.conclude_face(header(photo), accepted(user))
        async with database.operation("plant") as connection:
            await connection.execute(
                "INSERT INTO facematch.outcomes"
                " (stream_seq, stored_at, outcome, reason, embedder, worker, occurred_at, recorded_at)"
                " SELECT -n, now(), 'skipped', 'from_the_future', 'dlib@9', 'worker-9', now(), now() - interval '1 day'"
                " FROM generate_series(1, 20) n"
            )
        waiting = await ledger.unpublished(older_than_seconds=0, limit=10)
        assert [record.key for record in waiting] == [told.key]


async def test_a_newer_version_s_attempt_counts(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """After a rollback a job that failed under the newer version still ends; the word for why is kept for people."""
    photo, job = tables.add_photo(uuid4()), key()
    async with opened(prepared.url, size=1) as database:
        async with database.operation("plant") as connection:
            await connection.execute(
                "INSERT INTO facematch.attempts"
                " (stream_seq, stored_at, delivery, photo_id, reason, detail, worker, occurred_at)"
                " VALUES (%s, %s, 1, %s, 'from_the_future', 'it flew away', 'worker-9', now())",
                [job.sequence, job.stored_at, photo],
            )
        for reading in (PostgresLedger(database).attempts(job), PostgresLedger(database).attempts_on(photo)):
            [attempt] = await reading
            assert (attempt.reason, attempt.detail) == (Reason.INTERNAL_ERROR, "from_the_future: it flew away")

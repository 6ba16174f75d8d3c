"""What the ledger and the gallery come to: PostgreSQL's count, and the one in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import attrs
import pytest
import pytest_asyncio

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.records.statistics import PostgresStatistics
from adapters.system.clock import SystemClock
from application.ports.ledger import Ledger
from application.ports.statistics import LedgerStatistics, OutcomeCount
from domain.errors import DatabaseUnavailableError
from domain.outcomes import Reason
from domain.records import Failed, Skipped
from tests.contract.ledger.jobs import MODEL, accepted, embedding, header, record
from tests.databases import PreparedDatabase
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.statistics import InMemoryLedgerStatistics
from tests.tables import Tables


@attrs.frozen
class Subject:
    """Statistics, the ledger and the tables that they are about, and the end of the database."""

    statistics: LedgerStatistics
    ledger: Ledger
    tables: Tables
    stop: Callable[[], Awaitable[None]]


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each kind in turn, empty."""
    if prepared_database is None:
        memory = InMemoryDatabase(SystemClock())

        async def stop() -> None:
            memory.available = False

        yield Subject(InMemoryLedgerStatistics(memory), InMemoryLedger(memory), memory, stop)
        return
    with prepared_database.tables() as tables:
        database = Database(prepared_database.url)
        await database.open()
        try:
            yield Subject(PostgresStatistics(database), PostgresLedger(database), tables, database.close)
        finally:
            await database.close()


async def test_a_new_ledger_has_nothing_to_tell(subject: Subject) -> None:
    """The adapter satisfies the port: no outcome, no worker, nobody enrolled; and the database's time."""
    statistics: LedgerStatistics = subject.statistics
    recent = await statistics.recent()
    assert (recent.last, list(recent.counts), list(recent.workers)) == (None, [], [])
    assert abs(recent.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert dict(await statistics.gallery()) == {}


async def test_outcomes_are_counted_by_end_and_time(subject: Subject) -> None:
    """Each window has what ended in it, a match has no reason, and what is older than a day counts in none."""
    now = datetime.now(UTC)
    ends: list[tuple[Skipped | Failed, int]] = [
        *((Skipped(Reason.NO_FACE), ago) for ago in (10, 100, 1_000, 10_000)),
        *((Failed(Reason.STORAGE_UNAVAILABLE), ago) for ago in (2_000, 80_000)),
        (Skipped(Reason.NO_MATCH), 100_000),
    ]
    for outcome, ago in ends:
        await subject.ledger.conclude(record(outcome, occurred_at=now - timedelta(seconds=ago)))
    photo, user = subject.tables.add_photo(uuid4()), subject.tables.add_user(uuid4(), embedding(1.0))
    last = now - timedelta(seconds=5)
    await subject.ledger.conclude_face(header(photo, occurred_at=last), accepted(user))
    recent = await subject.statistics.recent()
    assert list(recent.counts) == [
        OutcomeCount("skipped", "no_face", 1, 2, 3, 4),
        OutcomeCount("failed", "storage_unavailable", 0, 0, 1, 2),
        OutcomeCount("matched", None, 1, 1, 1, 1),
    ]
    assert recent.last == last


async def test_an_old_outcome_is_still_the_last(subject: Subject) -> None:
    """However long ago it was."""
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(days=400)
    await subject.ledger.conclude(record(occurred_at=long_ago))
    recent = await subject.statistics.recent()
    assert (recent.last, list(recent.counts), list(recent.workers)) == (long_ago, [], [])


async def test_workers_of_the_last_hour_are_listed(subject: Subject) -> None:
    """Each with its jobs and its last one, the latest first."""
    now = datetime.now(UTC)
    for worker, ago in (("a", 50), ("b", 20), ("a", 300), ("gone", 4_000)):
        ended = attrs.evolve(record(occurred_at=now - timedelta(seconds=ago)), worker=worker)
        await subject.ledger.conclude(ended)
    workers = (await subject.statistics.recent()).workers
    assert [(seen.worker, seen.jobs, (now - seen.last_seen).seconds) for seen in workers] == [
        ("b", 1, 20),
        ("a", 2, 50),
    ]


async def test_users_are_counted_by_model(subject: Subject) -> None:
    """Those who may be named; '' stands for an unknown model."""
    tables = subject.tables
    for _ in range(2):
        tables.add_user(uuid4(), embedding(1.0))
    tables.add_user(uuid4(), embedding(1.0, model="model@2"))
    tables.add_user(uuid4(), embedding(1.0), deleted=True)
    tables.add_user(uuid4(), embedding(1.0), blocked=True)
    tables.write_embedding(tables.add_user(uuid4()), None, (1.0, 0.0, 0.0, 0.0))
    tables.add_user(uuid4())
    assert dict(await subject.statistics.gallery()) == {MODEL: 2, "model@2": 1, "": 1}


async def test_without_a_database_nothing_is_told(subject: Subject) -> None:
    """It says so."""
    await subject.stop()
    for look in (subject.statistics.recent, subject.statistics.gallery):
        with pytest.raises(DatabaseUnavailableError):
            await look()

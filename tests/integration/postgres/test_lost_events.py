"""Events that were published and then lost with their stream."""

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from tests.contract.ledger.jobs import record
from tests.tables import PostgresTables
from tests.unit.docs.pages import page


async def test_lost_events_are_published_again_as_the_guide_says(database: Database, tables: PostgresTables) -> None:
    """Those since the time that is named come back as they were, however old they are, and the others do not."""
    ledger = PostgresLedger(database)
    old, lost = [await ledger.conclude(record()) for _ in range(2)]
    for outcome, recorded_at in ((old, "2026-11-20 08:59:59+00"), (lost, "2026-11-20 09:00:00+00")):
        change = "UPDATE facematch.outcomes SET recorded_at = %s WHERE stream_seq = %s"
        tables.run(change, recorded_at, outcome.key.sequence)
    await ledger.mark_published([old.key, lost.key])
    assert list(await ledger.unpublished(older_than_seconds=2, limit=9)) == []
    [again] = page("docs/how-to/back-up-and-restore.md").code("sql")
    tables.run(again.strip())
    assert list(await ledger.unpublished(older_than_seconds=2, limit=9)) == [lost]

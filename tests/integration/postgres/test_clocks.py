"""Rows that were recorded by another clock than the server's own, as after a failover."""

import pytest

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from tests.contract.ledger.jobs import record
from tests.tables import PostgresTables


@pytest.mark.parametrize("seconds", [4, 3600])
async def test_an_event_from_the_future_is_published(database: Database, tables: PostgresTables, seconds: int) -> None:
    """Nobody waits for the clock of the new server to come so far; what may be its worker's own is left to it."""
    ledger = PostgresLedger(database)
    early, late = [await ledger.conclude(record()) for _ in range(2)]
    tables.run(
        "UPDATE facematch.outcomes SET recorded_at = now() + make_interval(secs => %s) WHERE stream_seq = %s",
        seconds,
        late.key.sequence,
    )
    assert list(await ledger.unpublished(older_than_seconds=2, limit=9)) == [late]
    assert list(await ledger.unpublished(older_than_seconds=0, limit=9)) == [early, late]

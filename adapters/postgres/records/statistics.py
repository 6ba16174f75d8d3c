"""What the ledger and the gallery come to, in numbers.

The statements on the ledger go along its index on time and read the rows of the last day, however many there are.
"""

from collections.abc import Mapping

from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.connection.reading import reading
from application.ports.statistics import OutcomeCount, RecentOutcomes, WorkerSeen

_LAST = "SELECT now(), (SELECT occurred_at FROM facematch.outcomes ORDER BY occurred_at DESC LIMIT 1)"
_COUNTS = """
SELECT outcome, reason,
       count(*) FILTER (WHERE occurred_at > now() - interval '1 minute'),
       count(*) FILTER (WHERE occurred_at > now() - interval '5 minutes'),
       count(*) FILTER (WHERE occurred_at > now() - interval '1 hour'),
       count(*)
  FROM facematch.outcomes
 WHERE occurred_at > now() - interval '1 day'
 GROUP BY outcome, reason
 ORDER BY count(*) DESC, outcome, reason
"""
_WORKERS = """
SELECT worker, count(*), pg_catalog.max(occurred_at)
  FROM facematch.outcomes
 WHERE occurred_at > now() - interval '1 hour'
 GROUP BY worker
 ORDER BY pg_catalog.max(occurred_at) DESC, worker
"""
_GALLERY = """
SELECT coalesce(u.face_embedding_model, ''), count(*)
  FROM {users} u
 WHERE u.face_embedding IS NOT NULL AND {candidate}
 GROUP BY 1
 ORDER BY 2 DESC, 1
"""


class PostgresStatistics:
    """Counts in the database, at read committed, locking nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self) -> RecentOutcomes:
        """Ask for the last outcome, the counts and the workers."""
        async with reading(self._database, "recent") as connection:
            [(at, last)] = await (await connection.execute(_LAST)).fetchall()
            counts = await (await connection.execute(_COUNTS)).fetchall()
            workers = await (await connection.execute(_WORKERS)).fetchall()
        return RecentOutcomes(at, last, [OutcomeCount(*row) for row in counts], [WorkerSeen(*row) for row in workers])

    async def gallery(self) -> Mapping[str, int]:
        """Count the users."""
        schema = self._database.schema
        query = sql.SQL(_GALLERY).format(users=schema.users.identifier, candidate=schema.candidate_condition("u"))
        async with reading(self._database, "gallery") as connection:
            return dict(await (await connection.execute(query)).fetchall())

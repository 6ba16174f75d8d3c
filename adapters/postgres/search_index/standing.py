"""The index of one model's users: what its parts are called, and whether a search can rely on it.

It is a partition of ``facematch.gallery``, which a trigger on ``users`` keeps in step within the application's own
transactions, and a codebook, by which each worker makes codes of the vectors there.
"""

import hashlib
from typing import Final

import attrs
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from adapters.postgres.tables.catalogue import OWN_SCHEMA
from adapters.postgres.tables.schema import Schema
from application.ports.search_index import IndexState

SERVER: Final = """
pg_catalog.concat_ws(' ', extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
                          extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time()))
"""
"""SQL for what is another text after every start of a server, and after every crash, which it forgets statistics by."""
CHANGED_SINCE: Final = "changed BETWEEN {horizon}::xid8 AND '18446744073709551615'"
"""SQL for the rows of transactions that had not ended at a horizon, or have begun since.

It is written as a range, which a generic plan takes for a small part of the table and uses the index for.
"""
_DIGITS = 12
_STATE = """
SELECT c.dimension,
       EXISTS (SELECT FROM pg_catalog.pg_trigger t
                WHERE t.tgrelid = %(users)s::regclass AND t.tgname = %(trigger)s AND t.tgenabled IN ('O', 'A')),
       greatest(p.reltuples, 0)::bigint,
       pg_catalog.concat_ws(' ', p.oid, c.learnt_at),
       coalesce(c.users, 0)
  FROM pg_catalog.pg_class p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
  LEFT JOIN facematch.codebooks c ON c.model = %(model)s
 WHERE n.nspname = %(schema)s AND p.relname = %(partition)s
"""


@attrs.frozen
class IndexNames:
    """What the parts are called; a model's own name may be longer than PostgreSQL allows, and of any letters."""

    partition: str

    @classmethod
    def of(cls, model: str) -> "IndexNames":
        """Return the names for a model."""
        return cls(f"gallery_{hashlib.sha256(model.encode()).hexdigest()[:_DIGITS]}")

    @property
    def function(self) -> str:
        """What the triggers call."""
        return f"keep_{self.partition}"

    @property
    def trigger(self) -> str:
        """The trigger on rows of ``users``."""
        return f"facematch_{self.partition}"

    @property
    def truncate_trigger(self) -> str:
        """The trigger on emptying ``users``."""
        return f"{self.trigger}_truncate"


async def look_at_index(connection: AsyncConnection[TupleRow], schema: Schema, model: str) -> IndexState | None:
    """Return the state of a model's index, which any worker may see; None where there is none."""
    names = IndexNames.of(model)
    values = {
        "schema": OWN_SCHEMA,
        "users": schema.users.identifier.as_string(),
        "model": model,
        "partition": names.partition,
        "trigger": names.trigger,
    }
    row = await (await connection.execute(_STATE, values)).fetchone()
    return IndexState(*row) if row is not None else None

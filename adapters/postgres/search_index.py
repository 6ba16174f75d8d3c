"""The index of one model's users: what its parts are called, and whether a search can rely on it.

It is an HNSW graph (hierarchical navigable small world) on a partition of ``facematch.gallery``, which a trigger on
``users`` keeps in step within the application's own transactions.
"""

import hashlib
from typing import Final

import attrs
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.catalogue import OWN_SCHEMA
from adapters.postgres.schema import Schema

EXACT_BELOW = 5_000
"""Among fewer users, comparing with all of them is as quick: measured in ``docs/how-to/search-a-large-gallery.md``."""
_DIGITS = 12
CAN_ITERATE: Final = sql.SQL("""
(SELECT string_to_array(substring(extversion FROM '[0-9]+[.][0-9]+'), '.')::int[] >= '{0,8}'
   FROM pg_catalog.pg_extension WHERE extname = 'vector')
""")
"""SQL that tells whether pgvector goes on searching where what it found first does not count: from 0.8 on."""
_STATE = sql.SQL("""
SELECT CASE WHEN i.indisvalid THEN a.atttypmod END,
       EXISTS (SELECT FROM pg_catalog.pg_trigger t
                WHERE t.tgrelid = %(users)s::regclass AND t.tgname = %(trigger)s AND t.tgenabled IN ('O', 'A')),
       {can_iterate},
       greatest(p.reltuples, 0)::bigint
  FROM pg_catalog.pg_class p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
  LEFT JOIN pg_catalog.pg_class x ON x.relnamespace = n.oid AND x.relname = %(index)s
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = x.oid AND i.indrelid = p.oid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1
 WHERE n.nspname = %(schema)s AND p.relname = %(partition)s
""").format(can_iterate=CAN_ITERATE)


@attrs.frozen
class Names:
    """What the parts are called; a model's own name may be longer than PostgreSQL allows, and of any letters."""

    partition: str

    @classmethod
    def of(cls, model: str) -> "Names":
        """Return the names for a model."""
        return cls(f"gallery_{hashlib.sha256(model.encode()).hexdigest()[:_DIGITS]}")

    @property
    def index(self) -> str:
        """The HNSW graph."""
        return f"{self.partition}_hnsw"

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


@attrs.frozen
class IndexState:
    """What the catalogue says; ``dimension`` is None without a valid graph, ``users`` is the server's own estimate."""

    dimension: int | None
    is_kept: bool
    can_iterate: bool
    users: int

    def serves(self, dimension: int) -> bool:
        """Tell whether vectors of that dimension can be searched for: a part that is missing would hide users."""
        return self.dimension == dimension and self.is_kept and self.can_iterate


async def look_at_index(connection: AsyncConnection[TupleRow], schema: Schema, model: str) -> IndexState | None:
    """Return the state of a model's index, which any role may see; None where there is none."""
    names = Names.of(model)
    values = {
        "schema": OWN_SCHEMA,
        "users": schema.users.identifier.as_string(),
        "partition": names.partition,
        "index": names.index,
        "trigger": names.trigger,
    }
    row = await (await connection.execute(_STATE, values)).fetchone()
    return IndexState(*row) if row is not None else None

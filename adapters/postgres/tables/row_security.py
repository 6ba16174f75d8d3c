"""Row-level security: a role that it applies to sees less than there is, and is told nothing of it."""

from collections.abc import Collection

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.tables.catalogue import OWN_SCHEMA, SchemaError, Table

_FILTERED = """
SELECT pg_catalog.concat(n.nspname, '.', c.relname)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname = %s OR (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[])))
   AND c.relkind IN ('r', 'p')
   AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND pg_catalog.row_security_active(c.oid)
 ORDER BY 1
"""


async def check_row_security(connection: AsyncConnection[TupleRow], tables: Collection[Table]) -> None:
    """Raise :class:`SchemaError` where rows of a table that the role may read can be hidden from it.

    Policies that show it everything today are no exception: what they show is decided anew for each row and by every
    later policy, and a user who is not seen is a stranger.
    """
    places = [table.schema for table in tables], [table.name for table in tables]
    filtered = [row[0] for row in await (await connection.execute(_FILTERED, [OWN_SCHEMA, *places])).fetchall()]
    if filtered:
        [role] = await (await connection.execute("SELECT current_user")).fetchone() or ("",)
        statement = sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(role)).as_string()
        raise SchemaError(
            f"row-level security can hide rows of {', '.join(filtered)} from the role, which has to see them all: "
            f"a superuser has to run: {statement}; or connect as the tables' owner, where it is not forced on them"
        )

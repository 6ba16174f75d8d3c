"""What an operator wants to know of the database: versions, whose embeddings can be used, what would speed it up."""

from typing import Any

import attrs
from psycopg import sql

from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.gallery.templates import comparable
from adapters.postgres.search_index.feed import CODEBOOK
from adapters.postgres.search_index.filling import count_missing
from adapters.postgres.search_index.parts import IndexParts
from adapters.postgres.search_index.standing import IndexState, look_at_index
from adapters.postgres.tables.indexes import missing_indexes
from adapters.postgres.tables.schema import VECTORS, Schema
from application.ports.face_pipeline import EmbedderInfo

_VERSIONS = """
SELECT pg_catalog.current_setting('server_version'),
       (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector')
"""
_LOGGED = """
SELECT current_user
 WHERE pg_catalog.current_setting('log_parameter_max_length') <> '0'
   AND (pg_catalog.current_setting('log_statement') IN ('mod', 'all')
        OR pg_catalog.current_setting('log_min_duration_statement') <> '-1'
        OR pg_catalog.current_setting('log_min_duration_sample') <> '-1'
        OR pg_catalog.current_setting('log_transaction_sample_rate') <> '0')
"""
_LOG_LESS = "ALTER ROLE {} SET log_parameter_max_length = 0"
_ENROLLED = """
SELECT count(*), count(*) FILTER (WHERE {dimensions}(u.face_embedding) <> {dimension} OR NOT {comparable})
  FROM {users} u WHERE u.face_embedding_model = %s AND u.face_embedding IS NOT NULL AND {candidate}
"""
_OTHERS = """
SELECT coalesce(u.face_embedding_model, ''), count(*) FROM {users} u
 WHERE u.face_embedding IS NOT NULL AND u.face_embedding_model IS DISTINCT FROM %s AND {not_deleted}
 GROUP BY 1 ORDER BY 1
"""
# By a hash: vectors would be sorted, and those that lie beside their rows fetched anew for each comparison.
_SHARED = """
SELECT coalesce(pg_catalog.sum(same.users), 0)::bigint FROM (
    SELECT count(*) AS users FROM {users} u WHERE u.face_embedding_model = %s AND {candidate}
     GROUP BY pg_catalog.hash_array_extended(u.face_embedding::real[], 0)
    HAVING pg_catalog.count(u.face_embedding) > 1) same
"""
_IN_STATISTICS = """
SELECT n.nspname, t.typname, a.atttypmod, a.attstorage::text
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE a.attrelid = %s::regclass AND a.attname = %s AND a.attstattarget IS DISTINCT FROM 0
"""
_KEEP_NONE = (
    "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}, ALTER COLUMN {column} SET STORAGE {storage}, "
    "ALTER COLUMN {column} SET STATISTICS 0"
)
_STORAGES = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_MOST_IN_STATISTICS = 254
"""Vectors of more dimensions are longer than 1,024 bytes, which ANALYZE keeps none of."""
_SECONDS = 60.0  # every user is looked at


@attrs.frozen
class DatabaseFacts:
    """Versions; how many users have an embedding, and what to do for speed.

    ``enrolled`` are those of this model who may be named; ``unfit`` of them have a vector that cannot be compared, of
    another dimension or of no length that could be told, and ``shared`` counts those of them who have the very same one
    as somebody else. ``unusable`` counts those of other models, but for deleted ones, by model ('': of an unknown one).
    ``advice`` are statements for the tables' owner, and ``copying`` others for the same, after which ANALYZE keeps no
    copies of templates. ``index`` is what this model's users are searched through by what was ``learnt``, which is None
    where it is not used; ``unindexed`` of them are not in it.
    ``logged`` is a statement for a superuser, where the server's log gets what statements are run with: embeddings.
    ``address`` is the server's, '' where it is reached through a socket of this machine, and ``sslmode`` what is asked
    of the connection to it.
    """

    server_version: str
    pgvector_version: str
    enrolled: int
    unfit: int
    shared: int
    unusable: dict[str, int]
    advice: tuple[str, ...]
    copying: tuple[str, ...]
    index: IndexState | None
    learnt: bytes | None
    unindexed: int
    logged: str | None
    address: str
    sslmode: str


async def inspect_database(database: Database, info: EmbedderInfo) -> DatabaseFacts:
    """Look at the database as a worker with that embedder sees it.

    Raises:
        DatabaseUnavailableError: no answer.

    """
    schema = database.schema
    parts = {"users": schema.users.identifier, "candidate": schema.candidate_condition("u")}
    enrolled = sql.SQL(_ENROLLED).format(
        dimensions=sql.Identifier(schema.vector_schema, "vector_dims"),
        comparable=comparable(schema, "u"),
        dimension=sql.Literal(info.dimension),
        **parts,
    )
    others = sql.SQL(_OTHERS).format(users=schema.users.identifier, not_deleted=schema.not_deleted("u"))
    async with database.operation("inspect", seconds=_SECONDS) as connection:
        [(server, pgvector)] = await _rows(connection, sql.SQL(_VERSIONS), [])
        [(usable, unfit)] = await _rows(connection, enrolled, [info.id])
        [(shared,)] = await _rows(connection, sql.SQL(_SHARED).format(**parts), [info.id])
        unusable = dict(await _rows(connection, others, [info.id]))
        advice = await missing_indexes(connection, schema.by_name)
        copying = await _copying(connection, schema) if info.dimension <= _MOST_IN_STATISTICS else ()
        index = await look_at_index(connection, schema, info.id)
        is_used = index is not None and index.serves(info.dimension)
        [(learnt,)] = await _rows(connection, sql.SQL(CODEBOOK), [info.id]) if is_used else [(None,)]
        unindexed = await count_missing(connection, IndexParts(schema, info.id, info.dimension)) if is_used else 0
        logged = await _logged(connection)
        address, sslmode = connection.info.hostaddr, _sslmode(connection)
    return DatabaseFacts(
        server,
        pgvector,
        usable,
        unfit,
        shared,
        unusable,
        advice,
        copying,
        index,
        learnt,
        unindexed,
        logged,
        address,
        sslmode,
    )


async def _logged(connection: Connection) -> str | None:
    roles = [sql.Identifier(role) for (role,) in await _rows(connection, sql.SQL(_LOGGED), [])]
    return next((sql.SQL(_LOG_LESS).format(role).as_string() for role in roles), None)


def _sslmode(connection: Connection) -> str:
    """Return what is in force, wherever libpq has it from: URL, environment, a service's file or its own default."""
    return next((option.val or b"" for option in connection.pgconn.info if option.keyword == b"sslmode"), b"").decode()


async def _copying(connection: Connection, schema: Schema) -> tuple[str, ...]:
    """Return what lets the statistics hold no templates any more: to name a column's type anew empties them."""
    statements = []
    for name, column in VECTORS:
        table = schema.by_name[name]
        query = sql.SQL(_IN_STATISTICS)
        for home, kind, modifier, storage in await _rows(connection, query, [table.identifier.as_string(), column]):
            parts = {
                "table": table.identifier,
                "column": sql.Identifier(column),
                "type": sql.Identifier(home, kind) + sql.SQL("" if modifier == -1 else f"({modifier:d})"),
                "storage": sql.SQL(_STORAGES[storage]),
            }
            if table.is_table:
                statements.append(sql.SQL(_KEEP_NONE).format(**parts).as_string())
    return tuple(statements)


async def _rows(connection: Connection, query: sql.SQL | sql.Composed, parameters: list[str]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query, parameters)).fetchall()

"""What an operator wants to know of the database: versions, and whose embeddings can be used."""

import attrs
from psycopg import sql

from adapters.postgres.database import Database


@attrs.frozen
class DatabaseFacts:
    """Versions, and how many users have an embedding: of this model and nameable, of others by model ('': none)."""

    server_version: str
    pgvector_version: str
    enrolled: int
    unusable: dict[str, int]


async def inspect_database(database: Database, model: str) -> DatabaseFacts:
    """Look at the database as a worker with that model sees it.

    Raises:
        DatabaseUnavailableError: no answer.

    """
    versions = (
        "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector')"
    )
    users = database.schema.users.identifier
    enrolled = sql.SQL(
        "SELECT count(*) FROM {} u WHERE face_embedding_model = %s AND face_embedding IS NOT NULL AND {}"
    )
    others = sql.SQL(
        "SELECT coalesce(face_embedding_model, ''), count(*) FROM {} WHERE face_embedding IS NOT NULL "
        "AND face_embedding_model IS DISTINCT FROM %s GROUP BY 1 ORDER BY 1"
    )
    async with database.operation("inspect") as connection:
        server, pgvector = await (await connection.execute(versions)).fetchone() or ("", "")
        condition = database.schema.candidate_condition("u")
        count = await (await connection.execute(enrolled.format(users, condition), [model])).fetchone()
        rows = await (await connection.execute(others.format(users), [model])).fetchall()
    return DatabaseFacts(server, pgvector or "", int(count[0]) if count else 0, {row[0]: row[1] for row in rows})

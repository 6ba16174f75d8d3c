"""The gallery: ``users.face_embedding``, searched exactly by cosine distance."""

import asyncio
import math
from collections.abc import Sequence
from uuid import UUID

import attrs
import numpy as np
from pgvector import Vector
from psycopg import sql

from adapters.postgres.database import Database
from adapters.postgres.schema import Schema
from application.ports.clock import Clock
from domain.decision import Candidate
from domain.faces import FaceEmbedding

_COUNT_SECONDS = 10.0
_NEAREST = """
SELECT n.id, n.distance, t.photographs
  FROM (SELECT u.id, u.face_embedding, {distance} AS distance FROM {users} u
         WHERE u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL AND {candidate}
         ORDER BY distance, id LIMIT %(limit)s) n
  LEFT JOIN facematch.templates t ON t.user_id = n.id AND t.fingerprint = sha256(n.face_embedding::text::bytea)
 ORDER BY n.distance, n.id
"""
_SAVE = """
WITH saved AS (
  UPDATE {users} SET face_embedding = %(vector)s, face_embedding_model = %(model)s WHERE id = %(user)s
  RETURNING id, sha256(face_embedding::text::bytea) AS fingerprint)
INSERT INTO facematch.templates (user_id, photographs, fingerprint) SELECT id, %(photographs)s, fingerprint FROM saved
ON CONFLICT (user_id) DO UPDATE SET photographs = excluded.photographs, fingerprint = excluded.fingerprint,
                                    enrolled_at = excluded.enrolled_at
"""


@attrs.frozen
class _Count:
    users: int
    at: float


class PostgresGallery:
    """Exact search: always right, about 0.2 ms for 1,000 users of 128 dimensions."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        self._counting: dict[str, asyncio.Task[int]] = {}

    async def nearest(self, probe: FaceEmbedding, *, limit: int) -> Sequence[Candidate]:
        """Return the nearest candidates; rows whose distance is not a number sort last and are left out."""
        schema = self._database.schema
        query = sql.SQL(_NEAREST).format(
            distance=_distance(schema, probe.dimension),
            users=schema.users.identifier,
            candidate=schema.candidate_condition("u"),
        )
        vector = Vector(np.asarray(probe.vector, dtype=np.float32))
        async with self._database.operation("nearest") as connection:
            cursor = await connection.execute(query, {"probe": vector, "model": probe.model, "limit": limit})
            rows = await cursor.fetchall()
        return [Candidate(*row) for row in rows if row[1] is not None and not math.isnan(row[1])]

    async def size(self, model: str) -> int:
        """Return a count that is at most 10 seconds old; one query serves everyone who asks meanwhile."""
        count = self._counts.get(model)
        if count is not None and self._clock.monotonic() - count.at <= _COUNT_SECONDS:
            return count.users
        counting = self._counting.get(model)
        if counting is None:
            counting = self._counting[model] = asyncio.create_task(self._count(model))
            counting.add_done_callback(lambda _: self._counting.pop(model, None))
        return await asyncio.shield(counting)

    async def _count(self, model: str) -> int:
        at = self._clock.monotonic()
        schema = self._database.schema
        query = sql.SQL(
            "SELECT count(*) FROM {} u WHERE u.face_embedding_model = %s AND u.face_embedding IS NOT NULL AND {}"
        ).format(schema.users.identifier, schema.candidate_condition("u"))
        async with self._database.operation("count") as connection:
            row = await (await connection.execute(query, [model])).fetchone()
        users = int(row[0]) if row else 0
        self._counts[model] = _Count(users, at)
        return users


class PostgresEnrolment:
    """Templates in ``users``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_exists(self, user_id: UUID) -> bool:
        """Tell whether the row is there."""
        query = sql.SQL("SELECT 1 FROM {} WHERE id = %s").format(self._database.schema.users.identifier)
        async with self._database.operation("user_exists") as connection:
            return await (await connection.execute(query, [user_id])).fetchone() is not None

    async def save_template(self, user_id: UUID, template: FaceEmbedding, *, photographs: int) -> bool:
        """Set embedding and model together, and remember what that very template was made of."""
        query = sql.SQL(_SAVE).format(users=self._database.schema.users.identifier)
        values = {
            "vector": Vector(np.asarray(template.vector, dtype=np.float32)),
            "model": template.model,
            "user": user_id,
            "photographs": photographs,
        }
        async with self._database.operation("save_template") as connection:
            return (await connection.execute(query, values)).rowcount == 1


def _distance(schema: Schema, dimension: int) -> sql.Composed:
    """Return the SQL of the cosine distance to ``probe``: NULL for a vector of another dimension.

    Where the column's type does not rule such vectors out, a CASE keeps them away from the operator, which refuses
    them; it costs a second look at each vector.
    """
    parts = {
        "cosine": sql.SQL("OPERATOR({}.<=>)").format(sql.Identifier(schema.vector_schema)),
        "dimensions": sql.Identifier(schema.vector_schema, "vector_dims"),
        "vector": schema.vector(dimension),
        "dimension": sql.Literal(dimension),
    }
    if schema.users.columns["face_embedding"].modifier == dimension:
        return sql.SQL("u.face_embedding {cosine} %(probe)s::{vector}").format(**parts)
    return sql.SQL(
        "CASE WHEN {dimensions}(u.face_embedding) = {dimension} "
        "THEN u.face_embedding::{vector} {cosine} %(probe)s::{vector} END"
    ).format(**parts)

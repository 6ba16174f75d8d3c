"""The rows that a job writes into the application's tables."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import Vector
from psycopg import sql
from psycopg.types.json import Jsonb

from adapters.postgres.database import Connection
from adapters.postgres.rows import box_document
from adapters.postgres.schema import Schema
from application.ports.ledger import FaceResult, JobHeader
from domain.decision import Accepted
from domain.faces import BoundingBox

_UPSERT = """
WITH updated AS (
  UPDATE {faces} SET embedding = %(embedding)s, embedding_model = %(model)s, bbox = %(bbox)s
   WHERE photo_id = %(photo)s AND face_index = %(face_index)s RETURNING id),
inserted AS (
  INSERT INTO {faces} (id, photo_id, face_index, embedding, embedding_model, bbox, created_at)
  SELECT %(id)s, %(photo)s, %(face_index)s, %(embedding)s, %(model)s, %(bbox)s, %(at)s
   WHERE NOT EXISTS (SELECT FROM updated) RETURNING id)
SELECT id FROM updated UNION ALL SELECT id FROM inserted
"""


async def upsert_face(
    connection: Connection, schema: Schema, header: JobHeader, result: FaceResult, *, new_id: Callable[[], UUID]
) -> UUID:
    """Update the photo's face of that index, or insert it with a new id; return its id."""
    values: dict[str, Any] = {
        "embedding": Vector(np.asarray(result.embedding.vector, dtype=np.float32)),
        "model": result.embedding.model,
        "bbox": _bbox(result.box, schema.photo_faces.columns["bbox"].type),
        "photo": header.photo_id,
        "face_index": header.face_index,
        "id": new_id(),
        "at": header.occurred_at,
    }
    upsert = sql.SQL(_UPSERT).format(faces=schema.photo_faces.identifier)
    row = await (await connection.execute(upsert, values)).fetchone()
    if row is None:
        raise AssertionError("either the update or the insert returns the face's id")
    return UUID(str(row[0]))


async def insert_match(
    connection: Connection, schema: Schema, header: JobHeader, accepted: Accepted, *, photo_face_id: UUID, new_id: UUID
) -> None:
    """Insert the match, with the distance in the column that the application calls confidence."""
    insert = sql.SQL(
        "INSERT INTO {} (id, photo_face_id, user_id, confidence, created_at) VALUES (%s, %s, %s, %s, %s)"
    ).format(schema.face_matches.identifier)
    distance = accepted.comparison.distance
    await connection.execute(insert, [new_id, photo_face_id, accepted.user_id, distance, header.occurred_at])


def _bbox(box: BoundingBox, column_type: str) -> Jsonb | str:
    document = box_document(box)
    return Jsonb(document) if column_type == "jsonb" else json.dumps(document)

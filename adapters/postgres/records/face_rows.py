"""The rows that a job writes into the application's tables."""

import json
from typing import Any
from uuid import UUID

import attrs
from psycopg import sql
from psycopg.types.json import Jsonb

from adapters.postgres.gallery.active_model import IS_ANOTHERS
from adapters.postgres.gallery.templates import as_vector, fingerprint
from adapters.postgres.tables.schema import Schema
from application.ports.ledger import FaceResult
from domain.decision import Accepted
from domain.faces import BoundingBox
from domain.records import JobHeader

_UPSERT = """
WITH known AS MATERIALIZED ({known}),
gallery AS MATERIALIZED (SELECT {is_anothers} AS is_anothers),
writable AS MATERIALIZED (
  SELECT FROM known, gallery WHERE photo_exists AND NOT already_matched AND stream_seq IS NULL AND NOT is_anothers
     AND (%(user_id)s::uuid IS NULL OR {may_be_named})),
updated AS (
  UPDATE {faces} SET embedding = %(embedding)s, embedding_model = %(model)s, bbox = %(bbox)s
   WHERE photo_id = %(photo_id)s AND face_index = %(face_index)s AND EXISTS (SELECT FROM writable) RETURNING id),
inserted AS (
  INSERT INTO {faces} (id, photo_id, face_index, embedding, embedding_model, bbox, created_at)
  SELECT %(id)s, %(photo_id)s, %(face_index)s, %(embedding)s, %(model)s, %(bbox)s, %(at)s
   WHERE EXISTS (SELECT FROM writable) AND NOT EXISTS (SELECT FROM updated) RETURNING id)
SELECT coalesce((SELECT id FROM updated), (SELECT id FROM inserted)), EXISTS (SELECT FROM writable), is_anothers,
       known.*
  FROM known, gallery
"""
# The user is asked for once more: where the statement had to wait for its lock, much may have happened meanwhile.
_MATCH = """
WITH matched AS (
  INSERT INTO {matches} (id, photo_face_id, user_id, confidence, created_at)
  SELECT %(match_id)s, %(photo_face_id)s, %(user_id)s, %(distance)s, %(occurred_at)s WHERE {may_be_named}
  RETURNING 1)
"""
_MAY_BE_NAMED = """
EXISTS (SELECT FROM {users} u WHERE u.id = %(user_id)s AND u.face_embedding_model = %(model)s
           AND u.face_embedding IS NOT NULL AND {candidate})
"""


def upsert_face(schema: Schema, known: sql.Composable) -> sql.Composed:
    """Return what writes the photo's face of that index.

    It returns its id, whether it may be written, whether the gallery is another model's, and ``known``. It may not
    where the photo is gone or matched, the job has an outcome, the gallery is another model's, or the accepted user may
    not be named any more. The id is NULL where nothing was written. ``known`` is a query of one row that tells
    ``photo_exists``, ``already_matched`` and, where the job has an outcome, its ``stream_seq``. Parameters:
    :func:`face_values`.
    """
    return sql.SQL(_UPSERT).format(
        known=known,
        is_anothers=sql.SQL(IS_ANOTHERS),
        may_be_named=_may_be_named(schema, schema.candidate_condition("u")),
        faces=schema.photo_faces.identifier,
    )


def face_values(schema: Schema, header: JobHeader, result: FaceResult, *, new_id: UUID) -> dict[str, Any]:
    """Return the parameters of :func:`upsert_face`; ``new_id`` is for a face that is not there yet."""
    return {
        "stream_seq": header.key.sequence,
        "stored_at": header.key.stored_at,
        "photo_id": header.photo_id,
        "face_index": header.face_index,
        "user_id": result.decision.user_id if isinstance(result.decision, Accepted) else None,
        "model": result.embedding.model,
        "embedding": as_vector(result.embedding),
        "bbox": _bbox(result.box, schema.photo_faces.columns["bbox"].type),
        "id": new_id,
        "at": header.occurred_at,
    }


def insert_match(schema: Schema) -> sql.Composed:
    """Return what inserts a match in front of its outcome, with the outcome's parameters and the ``model``.

    Nothing is ``matched`` where the user may not be named any more. The column that the application calls confidence
    holds the distance.
    """
    return sql.SQL(_MATCH).format(
        matches=schema.face_matches.identifier, may_be_named=_may_be_named(schema, schema.candidate_condition("u"))
    )


def look_whether_named(schema: Schema) -> sql.Composed:
    """Return what asks whether the user may still be named, by the very ``template`` that was compared.

    The other parameters are those of :func:`insert_match`.
    """
    is_the_same = sql.SQL(" AND {} = %(template)s").format(fingerprint("u"))
    return sql.SQL("SELECT") + _may_be_named(schema, schema.candidate_condition("u") + is_the_same)


def _may_be_named(schema: Schema, candidate: sql.Composable) -> sql.Composed:
    return sql.SQL(_MAY_BE_NAMED).format(users=schema.users.identifier, candidate=candidate)


def _bbox(box: BoundingBox, column_type: str) -> Jsonb | str:
    document = attrs.asdict(box)
    return Jsonb(document) if column_type == "jsonb" else json.dumps(document)

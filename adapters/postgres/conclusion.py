"""All that a job writes when a face was found, as one statement: the face, its match, and the job's outcome."""

import json
from typing import Any

import numpy as np
from pgvector import Vector
from psycopg import sql
from psycopg.types.json import Jsonb

from adapters.postgres.rows import COLUMNS, box_document, to_row
from adapters.postgres.schema import Schema
from domain.faces import BoundingBox, FaceEmbedding
from domain.records import JobRecord

# The message is acknowledged on the strength of this row. Where commits do not wait for the disk, a crash of the server
# would take the row back and leave the job without an outcome: so this one waits, whatever the database's default is.
_RECORD = """
INSERT INTO facematch.outcomes ({columns}) {rows} ON CONFLICT (stream_seq, stored_at) DO NOTHING
RETURNING set_config('synchronous_commit',
                     coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)
"""
_CONCLUDE = """
WITH known AS MATERIALIZED ({known}),
writable AS MATERIALIZED (
  SELECT FROM known WHERE photo_exists AND NOT already_matched AND stream_seq IS NULL
     AND (%(user_id)s::uuid IS NULL OR EXISTS (
           SELECT FROM {users} u WHERE u.id = %(user_id)s AND u.face_embedding_model = %(model)s
              AND u.face_embedding IS NOT NULL AND {candidate}))),
updated AS (
  UPDATE {faces} SET embedding = %(embedding)s, embedding_model = %(model)s, bbox = %(face_bbox)s
   WHERE photo_id = %(photo_id)s AND face_index = %(face_index)s AND EXISTS (SELECT FROM writable) RETURNING id),
inserted AS (
  INSERT INTO {faces} (id, photo_id, face_index, embedding, embedding_model, bbox, created_at)
  SELECT %(photo_face_id)s, %(photo_id)s, %(face_index)s, %(embedding)s, %(model)s, %(face_bbox)s, %(occurred_at)s
   WHERE EXISTS (SELECT FROM writable) AND NOT EXISTS (SELECT FROM updated) RETURNING id),
face AS (SELECT id FROM updated UNION ALL SELECT id FROM inserted),
recorded AS ({record}),
matched AS (
  INSERT INTO {matches} (id, photo_face_id, user_id, confidence, created_at)
  SELECT %(match_id)s::uuid, face.id, %(user_id)s::uuid, %(distance)s::double precision, %(occurred_at)s
    FROM face WHERE %(match_id)s::uuid IS NOT NULL)
SELECT (SELECT id FROM face), EXISTS (SELECT FROM recorded), known.* FROM known
"""


def record() -> sql.Composed:
    """Return what inserts an outcome unless the job has one. Parameters: :func:`adapters.postgres.rows.to_row`."""
    return _record(sql.SQL("VALUES ({})").format(sql.SQL(", ").join(map(sql.Placeholder, COLUMNS))))


def conclude(schema: Schema, known: sql.Composable) -> sql.Composed:
    """Return what writes face, match and outcome if they still may be, and returns what came of it.

    It returns the id of the photo's face of that index, whether the outcome was recorded, and ``known``. The id is NULL
    where nothing was written: the photo is gone or matched, the job has an outcome, or the accepted user may not be
    named any more. ``known`` is a query of one row that tells ``photo_exists``, ``already_matched`` and, where the job
    has an outcome, its ``stream_seq``. The match's column that the application calls confidence holds the distance.
    Parameters: :func:`values`.
    """
    columns = [sql.SQL("face.id") if each == "photo_face_id" else sql.Placeholder(each) for each in COLUMNS]
    return sql.SQL(_CONCLUDE).format(
        known=known,
        users=schema.users.identifier,
        candidate=schema.candidate_condition("u"),
        faces=schema.photo_faces.identifier,
        matches=schema.face_matches.identifier,
        record=_record(sql.SQL("SELECT {} FROM face").format(sql.SQL(", ").join(columns))),
    )


def values(schema: Schema, proposed: JobRecord, embedding: FaceEmbedding, box: BoundingBox) -> dict[str, Any]:
    """Return the parameters of :func:`conclude`; the ids of ``proposed`` are for rows that are not there yet."""
    return to_row(proposed) | {
        "model": embedding.model,
        "embedding": Vector(np.asarray(embedding.vector, dtype=np.float32)),
        "face_bbox": _bbox(box, schema.photo_faces.columns["bbox"].type),
    }


def _record(rows: sql.Composable) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    return sql.SQL(_RECORD).format(columns=columns, rows=rows)


def _bbox(box: BoundingBox, column_type: str) -> Jsonb | str:
    document = box_document(box)
    return Jsonb(document) if column_type == "jsonb" else json.dumps(document)

"""A template in SQL: how it is stored, which one it is, and of which photographs it was made."""

from typing import LiteralString

from pgvector import Vector
from psycopg import sql

from adapters.postgres.tables.schema import Schema
from domain.faces import LONGEST, SHORTEST, FaceEmbedding

REMEMBER = """
INSERT INTO facematch.templates (user_id, photographs, fingerprint, image_refs, image_digests)
{what} ON CONFLICT (user_id) DO UPDATE
   SET photographs = excluded.photographs, fingerprint = excluded.fingerprint, image_refs = excluded.image_refs,
       image_digests = excluded.image_digests, enrolled_at = excluded.enrolled_at
"""
"""Remembers what a query returns in these columns, in place of what was known."""


def fingerprint(alias: LiteralString) -> sql.SQL:
    """Return what tells the template of a row of ``users``, or of one with its vector, from any other."""
    return sql.SQL(f"pg_catalog.sha256({alias}.face_embedding::text::bytea)")


def comparable(schema: Schema, alias: LiteralString) -> sql.Composed:
    """Return SQL that is true where the template has a length whose square is a number of single precision.

    pgvector's cosine of any other is wrong: one that is all but zero may be at no distance from anybody.
    """
    norm = sql.Identifier(schema.vector_schema, "vector_norm")
    length = sql.SQL(f"{{}}({alias}.face_embedding)").format(norm)
    return sql.SQL("{} BETWEEN {}::double precision AND {}::double precision").format(
        length, sql.Literal(SHORTEST), sql.Literal(LONGEST)
    )


def as_vector(embedding: FaceEmbedding) -> Vector:
    """Return it as pgvector stores it, in single precision."""
    return Vector(list(embedding.vector))

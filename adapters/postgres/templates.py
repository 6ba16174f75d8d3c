"""What is known of a template, in SQL: which one it is, and of which photographs it was made."""

from typing import LiteralString

from psycopg import sql

REMEMBER = """
INSERT INTO facematch.templates (user_id, photographs, fingerprint, image_refs)
{what} ON CONFLICT (user_id) DO UPDATE
   SET photographs = excluded.photographs, fingerprint = excluded.fingerprint, image_refs = excluded.image_refs,
       enrolled_at = excluded.enrolled_at
"""
"""Remembers what a query returns in these columns, in place of what was known."""


def fingerprint(alias: LiteralString) -> sql.SQL:
    """Return what tells the template of a row of ``users``, or of one with its vector, from any other."""
    return sql.SQL(f"sha256({alias}.face_embedding::text::bytea)")

"""What is known of a template, in SQL: which one it is, and of which photographs it was made."""

FINGERPRINT = "sha256(u.face_embedding::text::bytea)"
"""Tells the template in ``users u`` from any other."""
REMEMBER = """
INSERT INTO facematch.templates (user_id, photographs, fingerprint, image_refs)
{what} ON CONFLICT (user_id) DO UPDATE
   SET photographs = excluded.photographs, fingerprint = excluded.fingerprint, image_refs = excluded.image_refs,
       enrolled_at = excluded.enrolled_at
"""
"""Remembers what a query returns in these columns, in place of what was known."""

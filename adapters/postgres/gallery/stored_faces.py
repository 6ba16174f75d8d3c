"""The gallery as it is now, seen from the faces in ``photo_faces``."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.connection.reading import reading
from adapters.postgres.gallery.nearest import Wanted, candidates, exact_to_stored_face
from adapters.postgres.gallery.templates import comparable
from domain.decision import Candidate

_FACE = """
SELECT f.embedding_model, {dimensions}(f.face_embedding)
  FROM (SELECT embedding_model, embedding AS face_embedding FROM {faces} WHERE id = %s) f
 WHERE f.embedding_model IS NOT NULL AND {comparable}
"""


class PostgresStoredFaces:
    """Compares with everybody, index or not: a large gallery's codes would take longer to load."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nearest(self, photo_face_id: UUID, *, limit: int) -> Sequence[Candidate]:
        """Look at what the face is compared by, then compare; no vector leaves the database."""
        schema = self._database.schema
        face = sql.SQL(_FACE).format(
            dimensions=sql.Identifier(schema.vector_schema, "vector_dims"),
            faces=schema.photo_faces.identifier,
            comparable=comparable(schema, "f"),
        )
        async with reading(self._database, "nearest_now") as connection:
            row = await (await connection.execute(face, [photo_face_id])).fetchone()
            if row is None:
                return ()
            model, dimension = row
            search = exact_to_stored_face(schema, Wanted(model, dimension, limit, all_comparable=True))
            values = {"face": photo_face_id, "model": model}
            return candidates(await (await connection.execute(search, values)).fetchall())

"""The application's tables, as tests write and look at them: in PostgreSQL, or in memory."""

import json
from typing import Any, Protocol
from uuid import UUID, uuid4

import numpy as np
import psycopg
from pgvector import Vector
from psycopg import sql

from adapters.postgres.connection.statements import beside_parameters
from adapters.postgres.tables.catalogue import TABLES
from domain.faces import BoundingBox, FaceEmbedding
from tests.fakes.database import FaceMatchRow, PhotoFaceRow

Vectors = tuple[float, ...]


class Tables(Protocol):
    """What the application does to its tables, and what it finds in them."""

    def add_photo(self, photo_id: UUID) -> UUID:
        """Insert a photo."""

    def delete_photo(self, photo_id: UUID) -> None:
        """Delete a photo; its faces and their matches go with it."""

    def add_user(
        self, user_id: UUID, template: FaceEmbedding | None = None, *, deleted: bool = False, blocked: bool = False
    ) -> UUID:
        """Insert a user."""

    def delete_user(self, user_id: UUID) -> None:
        """Delete a user's row; their matches go with it."""

    def mark_user(self, user_id: UUID, *, deleted: bool = False, blocked: bool = False) -> None:
        """Say of a user that they are deleted or blocked."""

    def write_embedding(self, user_id: UUID, model: str | None, vector: Vectors | None) -> None:
        """Write anything into a user's columns."""

    def add_face(self, photo_id: UUID, embedding: FaceEmbedding) -> UUID:
        """Insert the photo's first face."""

    def add_match(self, photo_face_id: UUID, user_id: UUID) -> UUID:
        """Insert a match of the application's own."""

    def faces(self) -> list[PhotoFaceRow]:
        """Return the rows of ``photo_faces``, by photo and index."""

    def matches(self) -> list[FaceMatchRow]:
        """Return the rows of ``face_matches``, by id."""


class PostgresTables:
    """Tables in a schema of a real database, until closed; the URL is that of a role that may do anything with them.

    ``vector`` is the schema of pgvector, and ``photo_columns`` the literals of what else a photo must have.
    """

    def __init__(
        self, url: str, schema: str = "public", vector: str = "public", photo_columns: dict[str, str] | None = None
    ) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._schema = schema
        self._vector = sql.Identifier(vector, "vector")
        self._photo_columns = photo_columns or {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def add_photo(self, photo_id: UUID) -> UUID:
        """Insert a photo."""
        names, values = ", ".join(["id", *self._photo_columns]), ", ".join(["%s", *self._photo_columns.values()])
        self.run(f"INSERT INTO {{photos}} ({names}) VALUES ({values})", photo_id)
        return photo_id

    def delete_photo(self, photo_id: UUID) -> None:
        """Delete a photo."""
        self.run("DELETE FROM {photos} WHERE id = %s", photo_id)

    def add_user(
        self, user_id: UUID, template: FaceEmbedding | None = None, *, deleted: bool = False, blocked: bool = False
    ) -> UUID:
        """Insert a user."""
        self.run("INSERT INTO {users} (id) VALUES (%s)", user_id)
        if template is not None:
            self.write_embedding(user_id, template.model, template.vector)
        self.mark_user(user_id, deleted=deleted, blocked=blocked)
        return user_id

    def delete_user(self, user_id: UUID) -> None:
        """Delete a user's row."""
        self.run("DELETE FROM {users} WHERE id = %s", user_id)

    def mark_user(self, user_id: UUID, *, deleted: bool = False, blocked: bool = False) -> None:
        """Set the two columns that take a user out of the search."""
        self.run(
            "UPDATE {users} SET deleted_at = CASE WHEN %s THEN now() END, blocked = %s WHERE id = %s",
            deleted,
            blocked,
            user_id,
        )

    def write_embedding(self, user_id: UUID, model: str | None, vector: Vectors | None) -> None:
        """Write anything into a user's columns."""
        text = Vector(np.asarray(vector, dtype=np.float32)).to_text() if vector is not None else None
        self.run(
            "UPDATE {users} SET face_embedding = %s::{vector}, face_embedding_model = %s WHERE id = %s",
            text,
            model,
            user_id,
        )

    def add_face(self, photo_id: UUID, embedding: FaceEmbedding) -> UUID:
        """Insert the photo's first face."""
        face_id = uuid4()
        self.run(
            "INSERT INTO {photo_faces} (id, photo_id, face_index, embedding, embedding_model, created_at) "
            "VALUES (%s, %s, 0, %s::{vector}, %s, now())",
            face_id,
            photo_id,
            Vector(list(embedding.vector)).to_text(),
            embedding.model,
        )
        return face_id

    def add_match(self, photo_face_id: UUID, user_id: UUID) -> UUID:
        """Insert a match of the application's own."""
        match_id = uuid4()
        self.run(
            "INSERT INTO {face_matches} (id, photo_face_id, user_id, confidence) VALUES (%s, %s, %s, 0)",
            match_id,
            photo_face_id,
            user_id,
        )
        return match_id

    def faces(self) -> list[PhotoFaceRow]:
        """Return the rows of ``photo_faces``, by photo and index."""
        rows = self.run(
            "SELECT id, photo_id, face_index, embedding_model, embedding::text, bbox::text FROM {photo_faces} "
            "ORDER BY photo_id, face_index"
        )
        return [
            PhotoFaceRow(row[0], row[1], row[2], FaceEmbedding(row[3], tuple(json.loads(row[4]))), _box(row[5]))
            for row in rows
        ]

    def matches(self) -> list[FaceMatchRow]:
        """Return the rows of ``face_matches``, by id."""
        rows = self.run("SELECT id, photo_face_id, user_id, confidence FROM {face_matches} ORDER BY id")
        return [FaceMatchRow(*row) for row in rows]

    def clear(self) -> None:
        """Empty every table, the service's own too."""
        own = ("outcomes", "attempts", "templates", "prepared_templates", "active_model")
        names = ", ".join(f"facematch.{table}" for table in own)
        self.run(f"TRUNCATE {{photos}}, {{users}}, {{photo_faces}}, {{face_matches}}, {names}")

    def run(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement, with the tables' names and the vector type in braces, and return its rows."""
        names = {name: sql.Identifier(self._schema, name) for name in TABLES}
        statement = sql.SQL(query).format(vector=self._vector, **names)
        cursor = self._connection.execute(beside_parameters(statement), parameters)
        return cursor.fetchall() if cursor.description else []


def _box(text: str) -> BoundingBox:
    return BoundingBox(**json.loads(text))

"""Whose templates the gallery is of: those of one embedder, once it was switched to another."""

from typing import Final

from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.recent import Recent
from adapters.postgres.tables.schema import Schema
from application.ports.clock import Clock
from domain.errors import GalleryNotReadyError

# In order: a generic plan that takes any row for a fitting one reads all of the table where none is.
_IS_PREPARED = """
(SELECT true FROM facematch.prepared_templates WHERE model = %(model)s ORDER BY model, user_id LIMIT 1) IS NOT NULL
"""
_LOOK = """
SELECT a.model, a.switched_at IS NOT NULL, {is_prepared}
  FROM (VALUES (1)) AS always LEFT JOIN facematch.active_model a ON true
"""
_IN_USE = """
EXISTS (SELECT FROM {users} u
         WHERE u.face_embedding_model = %(model)s AND u.face_embedding IS NOT NULL AND {not_deleted})
"""
_RECENT_SECONDS = 10.0
IS_ANOTHERS: Final = """
EXISTS (SELECT FROM facematch.active_model WHERE model <> %(model)s OR switched_at IS NULL)
"""
"""The SQL that is true where the gallery is not the ``model``'s, or not yet."""
_IS_READY = f"""
NOT {IS_ANOTHERS}
AND ({{found}} OR EXISTS (SELECT FROM facematch.active_model) OR NOT {_IS_PREPARED} OR {_IN_USE})
"""


def is_ready(schema: Schema, found: sql.Composable) -> sql.Composed:
    """Return SQL: may the result of a search for the ``model`` be trusted? ``found`` is SQL that is true for a hit."""
    return _about_users(_IS_READY, schema, found=found)


class ActiveModel:
    """The embedder's place in the gallery: a dependency of everyone who compares with its templates, or makes some."""

    name = "gallery"

    def __init__(self, database: Database, model: str, *, clock: Clock) -> None:
        self._database = database
        self._model = model
        self._in_use = Recent(self._look_whether_in_use, clock=clock, seconds=_RECENT_SECONDS)

    async def check(self) -> None:
        """Return where the gallery is this embedder's, or no embedder's in particular.

        Raises:
            GalleryNotReadyError: it is another one's, or is being switched, or is about to be.
            DatabaseUnavailableError: no answer.

        """
        async with self._database.operation("look_at_gallery") as connection:
            query = sql.SQL(_LOOK).format(is_prepared=sql.SQL(_IS_PREPARED))
            row = await (await connection.execute(query, {"model": self._model})).fetchone()
        active, is_switched, is_prepared = row or (None, False, False)
        if active is None:
            if is_prepared and not await self._in_use.get(self._model):
                raise GalleryNotReadyError(
                    f"templates of {self._model} are prepared, and nobody has one yet: run `facematch reenroll switch` "
                    "or `discard`"
                )
        elif not is_switched:
            raise GalleryNotReadyError(
                f"users are being switched to {active}: `facematch reenroll switch` goes on where it was interrupted, "
                "with --partial also where somebody has no template ready"
            )
        elif active != self._model:
            raise GalleryNotReadyError(
                f"users were switched to {active}, and this is {self._model}: set FACEMATCH_EMBEDDER, or prepare and "
                "switch them with `facematch reenroll`"
            )

    async def _look_whether_in_use(self, model: str) -> bool:
        query = _about_users("SELECT" + _IN_USE, self._database.schema)
        async with self._database.operation("look_whether_in_use") as connection:
            return await (await connection.execute(query, {"model": model})).fetchone() == (True,)


def _about_users(statement: str, schema: Schema, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(statement).format(users=schema.users.identifier, not_deleted=schema.not_deleted("u"), **parts)

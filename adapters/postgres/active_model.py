"""Whose templates the gallery is of: those of one embedder, once it was switched to another."""

from typing import Final

from psycopg import sql

from adapters.postgres.database import Database
from adapters.postgres.recent import Recent
from application.ports.clock import Clock
from domain.errors import GalleryNotReadyError

_LOOK = """
SELECT a.model, a.switched_at IS NOT NULL, EXISTS (SELECT FROM facematch.prepared_templates WHERE model = %(model)s)
  FROM (VALUES (1)) AS always LEFT JOIN facematch.active_model a ON true
"""
_IN_USE = "SELECT EXISTS (SELECT FROM {users} WHERE face_embedding_model = %(model)s AND face_embedding IS NOT NULL)"
_RECENT_SECONDS = 10.0
IS_ACTIVE: Final = """
NOT EXISTS (SELECT FROM facematch.active_model WHERE model <> %(model)s OR switched_at IS NULL)
AND (%(anybody)s OR EXISTS (SELECT FROM facematch.active_model)
     OR NOT EXISTS (SELECT FROM facematch.prepared_templates WHERE model = %(model)s))
"""
"""The SQL that is true where a job may be decided by templates of a ``model``, of which it found ``anybody`` or not."""


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
            row = await (await connection.execute(_LOOK, {"model": self._model})).fetchone()
        active, is_switched, is_prepared = row or (None, False, False)
        if active is None:
            if is_prepared and not await self._in_use.get(self._model):
                raise GalleryNotReadyError(
                    f"templates of {self._model} are prepared, and nobody has one yet: run `facematch reenroll switch` "
                    "or `discard`"
                )
        elif not is_switched:
            raise GalleryNotReadyError(
                f"users are being switched to {active}: `facematch reenroll switch` goes on where it was interrupted"
            )
        elif active != self._model:
            raise GalleryNotReadyError(
                f"users were switched to {active}, and this is {self._model}: set FACEMATCH_EMBEDDER, or prepare and "
                "switch them with `facematch reenroll`"
            )

    async def _look_whether_in_use(self, model: str) -> bool:
        query = sql.SQL(_IN_USE).format(users=self._database.schema.users.identifier)
        async with self._database.operation("look_whether_in_use") as connection:
            return await (await connection.execute(query, {"model": model})).fetchone() == (True,)

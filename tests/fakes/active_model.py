"""The active model in memory."""

from domain.errors import GalleryNotReadyError
from tests.fakes.database import InMemoryDatabase


class InMemoryActiveModel:
    """Looks at an :class:`InMemoryDatabase` for an embedder of that model."""

    name = "gallery"

    def __init__(self, database: InMemoryDatabase, model: str) -> None:
        self._database = database
        self._model = model

    async def check(self) -> None:
        """Ask the fake database."""
        await self._database.operation("look_at_gallery")
        anybody = any(user.vector is not None and user.model == self._model for user in self._database.users.values())
        if not self._database.is_active(self._model, anybody=anybody):
            raise GalleryNotReadyError(f"the gallery is not of {self._model}")

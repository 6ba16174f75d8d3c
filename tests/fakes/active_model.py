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
        if not self._database.is_ready(self._model, found=False):
            raise GalleryNotReadyError(f"the gallery is not of {self._model}")

"""The application's photos, gone through in pieces: there may be millions."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import attrs


@attrs.frozen
class CataloguedPhoto:
    """A photo, and where the application says that its image is; None where it does not say."""

    id: UUID
    image_ref: str | None


@attrs.frozen
class CataloguePage:
    """A stretch of the catalogue, in the order of ids: the photos that were asked for, and how many there were in all.

    The next stretch comes after ``last``; None at the catalogue's end.
    """

    photos: Sequence[CataloguedPhoto]
    looked_at: int
    last: UUID | None


class PhotoCatalogue(Protocol):
    """Goes through the photos.

    Every method raises :class:`domain.errors.DatabaseUnavailableError` when the database does not answer, and
    another :class:`domain.errors.FacematchError` when it cannot be asked this.
    """

    async def estimate(self) -> int:
        """Return about how many photos there are, at once."""

    async def unanswered(self, *, after: UUID | None, limit: int) -> CataloguePage:
        """Look at the next ``limit`` photos; return those with neither an outcome of any kind nor a match."""

"""Readings of photographs that were made before, so that a long measurement can be taken up again."""

from typing import Protocol

from application.ports.face_pipeline import Embed
from domain.faces import PhotoReading


class KnownReadings(Protocol):
    """Keeps readings of one embedder, by the photograph's content and by which faces were embedded.

    A reading without its stages is what comes back: how long it took says nothing any more.
    """

    async def find(self, image: bytes, *, embed: Embed) -> PhotoReading | None:
        """Return the reading of this very content, or None where none is known.

        Raises:
            FacematchError: the place where they are kept cannot be used.

        """

    async def keep(self, image: bytes, reading: PhotoReading, *, embed: Embed) -> None:
        """Remember a reading; it is known from now on, whatever becomes of the process.

        Raises:
            FacematchError: it cannot be kept.

        """

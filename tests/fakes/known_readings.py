"""Known readings in memory."""

import attrs

from application.ports.face_pipeline import Embed
from domain.faces import PhotoReading


class InMemoryKnownReadings:
    """Keeps them in a dictionary, without their stages."""

    def __init__(self) -> None:
        self.readings: dict[tuple[bytes, Embed], PhotoReading] = {}

    async def find(self, image: bytes, *, embed: Embed) -> PhotoReading | None:
        """Look it up."""
        return self.readings.get((image, embed))

    async def keep(self, image: bytes, reading: PhotoReading, *, embed: Embed) -> None:
        """Remember it."""
        self.readings[image, embed] = attrs.evolve(reading, stages=())

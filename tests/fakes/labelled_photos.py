"""Labelled photographs in memory."""

from collections.abc import Mapping, Sequence

from application.ports.labelled_photos import LabelledPhoto
from domain.errors import ImageNotFoundError


class InMemoryLabelledPhotos:
    """Holds the contents by person and name; None for one that cannot be had."""

    def __init__(self, people: Mapping[str, Mapping[str, bytes | None]]) -> None:
        self._people = people

    def photos(self) -> Sequence[LabelledPhoto]:
        """Return all photographs."""
        return [LabelledPhoto(person, name) for person, photos in self._people.items() for name in photos]

    async def fetch(self, photo: LabelledPhoto) -> bytes:
        """Return a photograph's content."""
        content = self._people[photo.person][photo.name]
        if content is None:
            raise ImageNotFoundError(f"cannot read {photo.person}/{photo.name}")
        return content

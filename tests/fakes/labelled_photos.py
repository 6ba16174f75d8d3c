"""Labelled photographs in memory."""

from collections.abc import Mapping, Sequence

from application.ports.labelled_photos import LabelledPhoto
from domain.errors import FacematchError, ImageNotFoundError


class InMemoryLabelledPhotos:
    """Holds the contents by person and name, None for one that cannot be had; and who is in which group, if said."""

    def __init__(
        self, people: Mapping[str, Mapping[str, bytes | None]], groups: Sequence[tuple[str, str]] | None = None
    ) -> None:
        self._people = people
        self._groups = groups

    def photos(self) -> Sequence[LabelledPhoto]:
        """Return all photographs."""
        photos = [LabelledPhoto(person, name) for person, photos in self._people.items() for name in photos]
        if not photos:
            raise FacematchError("no photographs")
        return photos

    def memberships(self) -> Sequence[tuple[str, str]] | None:
        """Return pairs of a person and a group."""
        return self._groups

    async def fetch(self, photo: LabelledPhoto) -> bytes:
        """Return a photograph's content."""
        content = self._people[photo.person][photo.name]
        if content is None:
            raise ImageNotFoundError(f"cannot read {photo}")
        return content

"""A folder with one sub-folder for each person."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from application.ports.labelled_photos import LabelledPhoto
from domain.errors import FacematchError, ImageNotFoundError


class NoPhotographsError(FacematchError):
    """The folder is not one to measure with."""


class LabelledFolder:
    """The sub-folders are people; the files in them, but hidden ones, are their photographs, both by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def photos(self) -> Sequence[LabelledPhoto]:
        """Return all photographs."""
        try:
            people = sorted(entry for entry in self._folder.iterdir() if entry.is_dir() and _visible(entry))
            photos = [
                LabelledPhoto(person.name, file.name)
                for person in people
                for file in sorted(person.iterdir())
                if file.is_file() and _visible(file)
            ]
        except OSError as error:
            raise NoPhotographsError(f"cannot look into {self._folder}: {error.strerror}") from error
        if not photos:
            raise NoPhotographsError(f"{self._folder} holds no photographs: expected are FOLDER/PERSON/PHOTOGRAPH")
        return photos

    async def fetch(self, photo: LabelledPhoto) -> bytes:
        """Return a file's content."""
        try:
            return await asyncio.to_thread((self._folder / photo.person / photo.name).read_bytes)
        except OSError as error:
            raise ImageNotFoundError(f"cannot read {photo.person}/{photo.name}: {error.strerror}") from error


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")

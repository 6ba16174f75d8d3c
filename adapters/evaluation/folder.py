"""A folder with one sub-folder for each person, and possibly a table of the groups that they are in."""

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from application.ports.labelled_photos import LabelledPhoto
from domain.errors import FacematchError, ImageNotFoundError

GROUPS: Final = "groups.csv"
_HEADER: Final = ["person", "group"]


class NoPhotographsError(FacematchError):
    """The folder is not one to measure with."""


class GroupsError(FacematchError):
    """The table of groups cannot be understood; the message has a line for each mistake."""


class LabelledFolder:
    """The sub-folders are people; the files in them, but hidden ones, are their photographs, both by name.

    A file ``groups.csv`` beside the people has the header ``person,group`` and a row for each group that a person is
    in.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def photos(self) -> Sequence[LabelledPhoto]:
        """Return all photographs."""
        try:
            people = sorted(entry for entry in self._folder.iterdir() if entry.is_dir() and _visible(entry))
            photos = [
                LabelledPhoto(person.name, file.name)
                for person in people
                for file in sorted(person.iterdir())
                if (file.is_file() or _leads_nowhere(file)) and _visible(file)
            ]
        except OSError as error:
            raise NoPhotographsError(f"cannot look into {self._folder}: {error.strerror}") from error
        if not photos:
            raise NoPhotographsError(f"{self._folder} holds no photographs: expected are FOLDER/PERSON/PHOTOGRAPH")
        return photos

    def memberships(self) -> Sequence[tuple[str, str]] | None:
        """Return the rows of ``groups.csv``; None without such a file.

        Raises:
            GroupsError: something in it is wrong; everything that is wrong is told.

        """
        path = self._folder / GROUPS
        try:
            if path.exists() and not path.is_file():  # nobody may be writing into a pipe
                raise GroupsError(f"cannot read {path}: not a regular file")
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(enumerate(csv.reader(file, strict=True), start=1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise GroupsError(f"cannot read {path}: {error.strerror}") from error
        except (csv.Error, UnicodeError) as error:
            raise GroupsError(f"{path} is no table in UTF-8 with commas between the cells: {error}") from error
        filled = [(number, [cell.strip() for cell in row]) for number, row in rows if any(map(str.strip, row))]
        header, body = filled[:1], filled[1:]
        problems = [] if [row for _, row in header] == [_HEADER] else [f"the first row is not {','.join(_HEADER)}"]
        problems += _wrong_rows(body)
        if problems:
            raise GroupsError("\n".join(f"{path}: {problem}" for problem in problems))
        return [(person, group) for _, (person, group) in body]

    async def fetch(self, photo: LabelledPhoto) -> bytes:
        """Return a file's content, or as much of it as tells that it is too long."""
        path = self._folder / photo.person / photo.name
        try:
            return await asyncio.to_thread(self._read, path)
        except OSError as error:
            raise ImageNotFoundError(f"cannot read {photo}: {error.strerror}") from error

    def _read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(self._max_bytes + 1)


def _wrong_rows(rows: Sequence[tuple[int, list[str]]]) -> list[str]:
    problems = []
    seen: dict[tuple[str, ...], int] = {}
    for number, row in rows:
        if len(row) != len(_HEADER) or not all(row):
            problems.append(f"row {number}: expected a person and a group, found {','.join(row)!r}")
        elif tuple(row) in seen:
            problems.append(f"row {number} is the same as row {seen[tuple(row)]}")
        seen.setdefault(tuple(row), number)
    return problems


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")

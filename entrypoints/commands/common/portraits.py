"""A list of whose photographs are where, as a database writes it: comma-separated values."""

import csv
from collections.abc import Iterable
from uuid import UUID

from domain.errors import FacematchError


class PortraitListError(FacematchError):
    """The list is none; the message names the line, or how to save it."""


def portraits(lines: Iterable[str]) -> dict[UUID, list[str]]:
    """Return each user's photographs, from lines of ``USER_ID,IMAGE`` and maybe more images; empty lines say nothing.

    Several lines may be about one user.

    Raises:
        PortraitListError: a line is none.

    """
    found: dict[UUID, list[str]] = {}
    rows = csv.reader(lines, strict=True)
    try:
        for row in rows:
            if row:
                found.setdefault(_user(row[0]), []).extend(_images(row[1:]))
    except OSError as error:
        raise PortraitListError(f"which cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PortraitListError("which is not in UTF-8: save it as UTF-8") from error
    except (ValueError, csv.Error) as error:
        raise PortraitListError(f"line {rows.line_num}: {error}") from error
    return found


def _user(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no user's id, which is a UUID") from None


def _images(cells: list[str]) -> list[str]:
    images = [cell.strip() for cell in cells if cell.strip()]
    if not images:
        raise ValueError("no photograph is named behind the user")
    return images

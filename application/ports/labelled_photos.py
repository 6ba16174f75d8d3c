"""Photographs of known people, to measure with."""

from collections.abc import Sequence
from typing import Protocol

import attrs


@attrs.frozen
class LabelledPhoto:
    """A photograph, and whose it is."""

    person: str
    name: str

    def __str__(self) -> str:
        return f"{self.person}/{self.name}"


class LabelledPhotos(Protocol):
    """A collection of them."""

    def photos(self) -> Sequence[LabelledPhoto]:
        """Return all, a person's together and in a lasting order.

        Raises:
            FacematchError: there are none, or the collection cannot be looked at.

        """

    def memberships(self) -> Sequence[tuple[str, str]] | None:
        """Return pairs of a person and a group that the person is in; None where nothing is said of groups.

        Raises:
            FacematchError: what is said cannot be understood; the message tells every mistake.

        """

    async def fetch(self, photo: LabelledPhoto) -> bytes:
        """Return a photograph's content.

        Raises:
            JobRejectedError: it cannot be had.

        """

"""Re-enrolment: templates by another embedder are prepared beside the users' own, and take their place together."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import attrs

from domain.faces import FaceEmbedding


@attrs.frozen
class Outdated:
    """A user, not deleted, whose template is of another embedder.

    ``template`` tells that very template from any other. ``image_refs`` are where the photographs lie that it was made
    of, empty where nobody knows. ``is_prepared`` is true where another one is ready to take its place.
    """

    user_id: UUID
    template: bytes
    image_refs: tuple[str, ...]
    is_prepared: bool


@attrs.frozen
class Switched:
    """How many users have got their prepared template, and the last who was looked at; None where nobody is left."""

    users: int
    last: UUID | None


class Reenrolment(Protocol):
    """Every method raises :class:`domain.errors.DatabaseUnavailableError` where there is no answer."""

    async def count(self, model: str) -> int:
        """Return how many users, not deleted, have a template of another embedder than that of the model."""

    async def outdated(self, model: str, *, after: UUID | None, limit: int) -> Sequence[Outdated]:
        """Return the next of these users in the order of their ids, at most so many."""

    async def prepare(self, user: Outdated, template: FaceEmbedding, *, photographs: int) -> bool:
        """Keep a template, made of so many photographs at the user's ``image_refs``, until it is to be the user's.

        Return False, with nothing written, where the user's own template has changed or gone, or they are deleted.
        """

    async def begin(self, model: str) -> None:
        """Let the gallery be of that model alone; if it was of another one, of none until the switch is finished.

        Until then no job is decided by templates, and after it none by templates of another model.
        """

    async def switch(self, model: str, *, after: UUID | None, limit: int) -> Switched:
        """Let the next prepared templates take the place of those that they were made for, at most so many at once.

        Whose own template has changed or gone meanwhile keeps what is there.
        """

    async def finish(self, model: str) -> bool:
        """Let jobs be decided by the model's templates; return False where the gallery is another's meanwhile."""

    async def tidy(self) -> None:
        """Delete what was prepared for users whose own template has changed or gone since, or who are deleted."""

    async def discard(self) -> int:
        """Delete everything that was prepared; return for how many users, counting each model.

        Raises:
            GalleryNotReadyError: users are being switched, and what is prepared is needed for that.

        """

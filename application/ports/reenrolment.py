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
    of, and ``image_digests`` their SHA-256 digests at that time; each is empty where nobody knows. ``is_prepared`` is
    true where another one is ready to take its place.
    """

    user_id: UUID
    template: bytes
    image_refs: tuple[str, ...]
    image_digests: tuple[bytes, ...]
    is_prepared: bool


class Reenrolment(Protocol):
    """Every method raises :class:`domain.errors.DatabaseUnavailableError` where there is no answer."""

    async def count(self, model: str) -> int:
        """Return how many users, not deleted, have a template of another embedder than that of the model."""

    async def outdated(self, model: str, *, after: UUID | None, limit: int) -> Sequence[Outdated]:
        """Return the next of these users in the order of their ids, at most so many."""

    async def prepare(self, user: Outdated, template: FaceEmbedding, *, photographs: int) -> bool:
        """Keep a template, made of so many photographs, until it is to be the user's; ``user`` tells where these lie.

        Return False, with nothing written, where the user's own template has changed or gone, or they are deleted.
        """

    async def prepared(self, model: str, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        """Return the next users who have a template of the model prepared, in the order of their ids."""

    async def can_switch(self, model: str, user: UUID) -> bool:
        """Tell whether the user can be switched at this moment; nothing is changed.

        Raises:
            DatabaseRefusedError: a rule of the application's refuses it.

        """

    async def half_done(self) -> str | None:
        """Return the model that users are being switched to; None where no switch is going on, or was interrupted."""

    async def begin(self, model: str) -> bool:
        """Let the gallery be of that model alone; if it was of another one, of none until the switch is finished.

        Until then no job is decided by templates, and after it none by templates of another model. Return False, with
        nothing changed, where it is not, users have templates of other models, and nobody has one, not even prepared.
        """

    async def switch(self, model: str, users: Sequence[UUID]) -> int:
        """Let prepared templates take the place of those that they were made for; return how many did.

        Whose own template has changed or gone meanwhile keeps what is there. Whose row another transaction has locked
        is left for another time.

        Raises:
            DatabaseRefusedError: a rule of the application's refuses the change of one of them; nobody was switched.

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

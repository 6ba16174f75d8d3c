"""The gallery: the enrolled users' templates."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.decision import Candidate
from domain.faces import FaceEmbedding


class Gallery(Protocol):
    """Searches the users who are enrolled with the probe's model and may be named (not deleted, not blocked)."""

    async def nearest(self, probe: FaceEmbedding, *, limit: int) -> Sequence[Candidate]:
        """Return up to ``limit`` users, closest first; empty when nobody is enrolled.

        Raises:
            DatabaseUnavailableError: no answer.

        """

    async def size(self, model: str) -> int:
        """Return how many users are enrolled with that model; the count may be up to 10 seconds old."""


class Enrolment(Protocol):
    """Stores the template that a user is recognised by."""

    async def user_exists(self, user_id: UUID) -> bool:
        """Tell whether the application knows this user."""

    async def save_template(self, user_id: UUID, template: FaceEmbedding, *, photographs: int) -> bool:
        """Replace the user's template, made of so many photographs.

        Return False, with nothing written, when there is no such user.
        """

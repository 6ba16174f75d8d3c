"""The gallery: the enrolled users' templates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import attrs

from domain.decision import Candidate
from domain.faces import FaceEmbedding


@attrs.frozen
class Neighbours:
    """The users who are nearest to a probe, closest first, and among how many they were found.

    ``gallery_size`` is counted with the search, unless more than
    :data:`~domain.calibration.LARGEST_GALLERY_WITH_COHORT` users were there at the last count: then it is that count,
    2 minutes old at most. So those who become many are judged as many at once, and those who have become few are
    judged more strictly than they might be for a while.
    """

    nearest: tuple[Candidate, ...]
    gallery_size: int


class Gallery(Protocol):
    """Searches the users who are enrolled with the probe's model and may be named (not deleted, not blocked)."""

    async def search(self, probe: FaceEmbedding, *, limit: int) -> Neighbours:
        """Return up to ``limit`` users, each with which template was compared; nobody when nobody is enrolled.

        Vectors that are all but zero, or immensely long, are no templates: their direction is lost in single precision.

        Raises:
            GalleryNotReadyError: users are being switched to another embedder, were switched to another than the
                probe's, or are about to be switched to the probe's.
            GalleryTooSlowError: no answer in time.
            DatabaseUnavailableError: no answer.

        """


class StoredFaces(Protocol):
    """Compares the faces that jobs have stored with the gallery as it is now."""

    async def nearest(self, photo_face_id: UUID, *, limit: int) -> Sequence[Candidate]:
        """Return up to ``limit`` of the users who may be named, closest first.

        Nobody where the face is not there, or has no embedding that is of the gallery's embedder.

        Raises:
            DatabaseUnavailableError: no answer, or the stored embeddings may not be read.

        """


@attrs.frozen
class Others:
    """How many other users have a template of one model, and those of them that are nearest to one, closest first."""

    count: int
    nearest: tuple[Candidate, ...]


class Enrolment(Protocol):
    """Stores the template that a user is recognised by."""

    async def user_exists(self, user_id: UUID) -> bool:
        """Tell whether the application knows this user, and has not deleted them."""

    async def not_to_enrol(self, user_ids: Sequence[UUID]) -> Collection[UUID]:
        """Return those of the users who have a template, of whatever embedder, or are deleted."""

    async def save_template(
        self,
        user_id: UUID,
        template: FaceEmbedding,
        *,
        photographs: int,
        image_refs: Sequence[str] = (),
        image_digests: Sequence[bytes] = (),
        replace: bool = True,
    ) -> bool:
        """Store the user's template, made of so many photographs.

        Remember where these lie, if that is known, and their SHA-256 digests.

        Return False, with nothing written, when there is no such user, or they are deleted; or, where it is not to
        ``replace`` one, when they have a template.

        Raises:
            GalleryNotReadyError: it is another embedder's, since the last switch.

        """

    async def others(self, user_id: UUID, template: FaceEmbedding, *, limit: int) -> Others:
        """Return up to ``limit`` of the other users' templates, those of users who may not be named included.

        Raises:
            DatabaseUnavailableError: no answer.

        """

    async def same_templates(self, model: str) -> Mapping[UUID, UUID]:
        """Return, for each user whose template of a model is somebody else's, too, one of these others.

        Those who may not be named are included.

        Raises:
            DatabaseUnavailableError: no answer.

        """

"""Enrolment of one user, alone or one of many: a template is made of the photographs, and stored."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enrolment.doubts import EnrolmentDoubt
from application.enrolment.images import EnrolmentRefusedError, Fetch
from application.enrolment.make_template import MakeTemplate
from application.ports.gallery import Enrolment
from domain.faces import FaceEmbedding


@attrs.frozen
class Enrolled:
    """The template that was stored, and what speaks against it."""

    template: FaceEmbedding
    doubts: tuple[EnrolmentDoubt, ...] = ()


@attrs.frozen(kw_only=True)
class Enroll:
    """Stores the mean direction of the faces on the given photographs as a user's template."""

    make_template: MakeTemplate
    enrolment: Enrolment

    async def __call__(self, user_id: UUID, photographs: Sequence[str], fetch: Fetch, *, replace: bool) -> Enrolled:
        """Return what was stored, with what speaks against the photographs.

        Where the photographs lie is remembered, if all of them lie in the object store. A template that is there
        already is in the way, unless it is to be ``replace``d.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph that is missing or without exactly one usable face.
            AttemptFailedError: the system failed; nothing was written.

        """
        if not await self.enrolment.user_exists(user_id):
            raise EnrolmentRefusedError([f"there is no user {user_id}, or they are deleted"])
        made = await self.make_template(photographs, fetch)
        if not await self.enrolment.save_template(
            user_id, made.template, photographs=made.photographs, image_refs=made.image_refs, replace=replace
        ):
            raise EnrolmentRefusedError([f"user {user_id} was deleted {'' if replace else 'or enrolled '}meanwhile"])
        return Enrolled(made.template, made.doubts)

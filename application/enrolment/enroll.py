"""Enrolment of one user, alone or one of many: a template is made of the photographs, and stored.

Who is enrolled alone replaces whatever was known, with a look at whom they are mistaken for.
"""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enrolment.enrolment_warnings import EnrolmentWarning, NotCompared, look_alike
from application.enrolment.template import EnrolmentRefusedError, Fetch, MakeTemplate
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, ThresholdPolicy
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding


@attrs.frozen
class Enrolled:
    """The template that was stored, and what speaks against it."""

    template: FaceEmbedding
    warnings: tuple[EnrolmentWarning, ...] = ()


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
            user_id,
            made.template,
            photographs=made.photographs,
            image_refs=made.image_refs,
            image_digests=made.image_digests,
            replace=replace,
        ):
            raise EnrolmentRefusedError([f"user {user_id} was deleted {'' if replace else 'or enrolled '}meanwhile"])
        return Enrolled(made.template, made.warnings)


@attrs.frozen(kw_only=True)
class EnrollUser:
    """Replaces a user's template, and looks for other users who have one like it."""

    enroll: Enroll
    enrolment: Enrolment
    threshold: ThresholdPolicy

    async def __call__(self, user_id: UUID, photographs: Sequence[str], fetch: Fetch) -> Enrolled:
        """Return what was stored, with a warning for each other user who would be taken for this one, too.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph that is missing or without exactly one usable face.
            AttemptFailedError: the system failed; nothing was written.

        """
        enrolled = await self.enroll(user_id, photographs, fetch, replace=True)
        return attrs.evolve(
            enrolled, warnings=(*enrolled.warnings, *await self._look_alike(user_id, enrolled.template))
        )

    async def _look_alike(self, user_id: UUID, template: FaceEmbedding) -> list[EnrolmentWarning]:
        try:
            others = await self.enrolment.others(user_id, template, limit=NEEDED_CANDIDATES)
        except DatabaseUnavailableError as error:
            return [NotCompared(str(error))]
        return look_alike(others, self.threshold)

"""Enrolment of a user from one or more photographs, whatever was known, and a look at whom they are mistaken for."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enrolment.doubts import EnrolmentDoubt, NotCompared, look_alike
from application.enrolment.enroll import Enroll, Enrolled
from application.enrolment.images import Fetch
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, ThresholdPolicy
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding


@attrs.frozen(kw_only=True)
class EnrollUser:
    """Replaces a user's template, and looks for other users who have one like it."""

    enroll: Enroll
    enrolment: Enrolment
    threshold: ThresholdPolicy

    async def __call__(self, user_id: UUID, photographs: Sequence[str], fetch: Fetch) -> Enrolled:
        """Return what was stored, with a doubt for each other user who would be taken for this one, too.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph that is missing or without exactly one usable face.
            AttemptFailedError: the system failed; nothing was written.

        """
        enrolled = await self.enroll(user_id, photographs, fetch, replace=True)
        return attrs.evolve(enrolled, doubts=(*enrolled.doubts, *await self._look_alike(user_id, enrolled.template)))

    async def _look_alike(self, user_id: UUID, template: FaceEmbedding) -> list[EnrolmentDoubt]:
        try:
            others = await self.enrolment.others(user_id, template, limit=NEEDED_CANDIDATES)
        except DatabaseUnavailableError as error:
            return [NotCompared(str(error))]
        return look_alike(others, self.threshold)

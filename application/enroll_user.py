"""Enrolment of a user from one or more photographs, whatever was known, and a look at whom they are mistaken for."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enroll import Enrolled, enroll
from application.enrolment_doubts import EnrolmentDoubt, NotCompared, look_alike
from application.enrolment_images import EnrolmentImage
from application.make_template import MakeTemplate
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, Calibration, ThresholdPolicy
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding


@attrs.frozen(kw_only=True)
class EnrollUser:
    """Replaces a user's template by the mean direction of the faces on the given photographs."""

    make_template: MakeTemplate
    enrolment: Enrolment
    calibration: Calibration
    threshold: ThresholdPolicy

    async def __call__(self, user_id: UUID, images: Sequence[EnrolmentImage]) -> Enrolled:
        """Return what was stored.

        Where the photographs lie is remembered, if all of them lie in the object store.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph without exactly one usable face.
            AttemptFailedError: the system failed; nothing was written.

        """
        enrolled = await enroll(
            user_id,
            images,
            make_template=self.make_template,
            enrolment=self.enrolment,
            calibration=self.calibration,
            replace=True,
        )
        return attrs.evolve(enrolled, doubts=(*enrolled.doubts, *await self._look_alike(user_id, enrolled.template)))

    async def _look_alike(self, user_id: UUID, template: FaceEmbedding) -> list[EnrolmentDoubt]:
        try:
            others = await self.enrolment.others(user_id, template, limit=NEEDED_CANDIDATES)
        except DatabaseUnavailableError as error:
            return [NotCompared(str(error))]
        return look_alike(others, self.threshold)

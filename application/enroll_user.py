"""Enrolment: learn a user's face from one or more photographs."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enrolment_doubts import EnrolmentDoubt, NotCompared, far_apart, look_alike
from application.enrolment_images import EnrolmentImage, EnrolmentRefusedError
from application.make_template import MakeTemplate
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, Calibration, ThresholdPolicy
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding


@attrs.frozen
class Enrolled:
    """The template that was stored, and what speaks against it."""

    template: FaceEmbedding
    doubts: tuple[EnrolmentDoubt, ...] = ()


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
        if not await self.enrolment.user_exists(user_id):
            raise EnrolmentRefusedError([f"there is no user {user_id}"])
        made = await self.make_template(images)
        if not await self.enrolment.save_template(
            user_id, made.template, photographs=made.photographs, image_refs=made.image_refs
        ):
            raise EnrolmentRefusedError([f"user {user_id} was deleted meanwhile"])
        doubts = far_apart([image.name for image in images], made.embeddings, self.calibration)
        return Enrolled(made.template, (*doubts, *await self._look_alike(user_id, made.template)))

    async def _look_alike(self, user_id: UUID, template: FaceEmbedding) -> list[EnrolmentDoubt]:
        try:
            others = await self.enrolment.others(user_id, template, limit=NEEDED_CANDIDATES)
        except DatabaseUnavailableError as error:
            return [NotCompared(str(error))]
        return look_alike(others, self.threshold)

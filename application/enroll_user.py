"""Enrolment: learn a user's face from one or more photographs."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.enrolment_doubts import EnrolmentDoubt, NotCompared, far_apart, look_alike
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from application.ports.gallery import Enrolment
from domain.decision import NEEDED_CANDIDATES, Calibration, ThresholdPolicy
from domain.errors import DatabaseUnavailableError, FacematchError, JobRejectedError
from domain.faces import FaceEmbedding
from domain.guardrails import FaceQuality, check_face_count, check_quality


class EnrolmentRefusedError(FacematchError):
    """Nothing was written, for these reasons."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@attrs.frozen
class EnrolmentImage:
    """A photograph to learn from, and what to call it when there is something to say about it."""

    name: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class Enrolled:
    """The template that was stored, and what speaks against it."""

    template: FaceEmbedding
    doubts: tuple[EnrolmentDoubt, ...] = ()


@attrs.frozen(kw_only=True)
class EnrollUser:
    """Replaces a user's template by the mean direction of the faces on the given photographs."""

    reader: FaceReader
    enrolment: Enrolment
    quality: FaceQuality
    calibration: Calibration
    threshold: ThresholdPolicy

    async def __call__(self, user_id: UUID, images: Sequence[EnrolmentImage]) -> Enrolled:
        """Return what was stored.

        Raises:
            EnrolmentRefusedError: no such user, or a photograph without exactly one usable face.
            AttemptFailedError: the system failed; nothing was written.

        """
        if not await self.enrolment.user_exists(user_id):
            raise EnrolmentRefusedError([f"there is no user {user_id}"])
        problems: list[str] = []
        embeddings: list[FaceEmbedding] = []
        for image in images:
            try:
                embeddings.append(await self._embed(image))
            except EnrolmentRefusedError as refused:
                problems.extend(refused.problems)
        if problems or not embeddings:
            raise EnrolmentRefusedError(problems or ["no photograph was given"])
        template = FaceEmbedding.mean_direction(embeddings)
        if not await self.enrolment.save_template(user_id, template, photographs=len(embeddings)):
            raise EnrolmentRefusedError([f"user {user_id} was deleted meanwhile"])
        names = [image.name for image in images]
        doubts = far_apart(names, embeddings, self.calibration) + await self._look_alike(user_id, template)
        return Enrolled(template, tuple(doubts))

    async def _look_alike(self, user_id: UUID, template: FaceEmbedding) -> list[EnrolmentDoubt]:
        try:
            others = await self.enrolment.others(user_id, template, limit=NEEDED_CANDIDATES)
        except DatabaseUnavailableError as error:
            return [NotCompared(str(error))]
        return look_alike(others, self.threshold)

    async def _embed(self, image: EnrolmentImage) -> FaceEmbedding:
        try:
            reading = await self.reader.read(image.content, embed=Embed.ONLY_FACE)
        except JobRejectedError as error:
            raise EnrolmentRefusedError([f"{image.name}: {error}"]) from error
        objection = check_face_count(len(reading.faces))
        if objection is None:
            objection = check_quality(reading.faces[0], self.quality)
        if objection is not None:
            raise EnrolmentRefusedError([f"{image.name}: {objection.detail}"])
        embedding = reading.faces[0].embedding
        if embedding is None:
            raise FacematchError(f"{image.name}: the only face came back without an embedding")
        return embedding

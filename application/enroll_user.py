"""Enrolment: learn a user's face from one or more photographs."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from application.ports.gallery import Enrolment
from domain.errors import FacematchError, JobRejectedError
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


@attrs.frozen(kw_only=True)
class EnrollUser:
    """Replaces a user's template by the mean direction of the faces on the given photographs."""

    reader: FaceReader
    enrolment: Enrolment
    quality: FaceQuality

    async def __call__(self, user_id: UUID, images: Sequence[EnrolmentImage]) -> FaceEmbedding:
        """Return the template that was stored.

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
        return template

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

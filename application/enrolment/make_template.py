"""A template is the mean direction of the faces on photographs of one person."""

from collections.abc import Sequence

import attrs

from application.enrolment.images import EnrolmentImage, EnrolmentRefusedError
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from domain.errors import FacematchError, JobRejectedError
from domain.faces import FaceEmbedding
from domain.guardrails import FaceQuality, check_face_count, check_quality


@attrs.frozen
class MadeTemplate:
    """A template, and the embeddings that it is the mean of, in the order of the photographs.

    ``image_refs`` are where these lie, empty unless all of them lie in the object store.
    """

    template: FaceEmbedding
    embeddings: tuple[FaceEmbedding, ...]
    image_refs: tuple[str, ...]

    @property
    def photographs(self) -> int:
        """How many they are."""
        return len(self.embeddings)


@attrs.frozen(kw_only=True)
class MakeTemplate:
    """Every photograph has to show exactly one face, of the quality that is asked for."""

    reader: FaceReader
    quality: FaceQuality

    async def __call__(self, images: Sequence[EnrolmentImage]) -> MadeTemplate:
        """Return the template.

        Raises:
            EnrolmentRefusedError: photographs without exactly one usable face, all of which are named; or none at all.
            AttemptFailedError: the embedder failed.

        """
        problems: list[str] = []
        embeddings: list[FaceEmbedding] = []
        for image in images:
            try:
                embeddings.append(await self._embed(image))
            except EnrolmentRefusedError as refused:
                problems.extend(refused.problems)
        if problems or not embeddings:
            raise EnrolmentRefusedError(problems or ["no photograph was given"])
        refs = tuple(image.image_ref for image in images if image.image_ref is not None)
        known = refs if len(refs) == len(images) else ()
        return MadeTemplate(FaceEmbedding.mean_direction(embeddings), tuple(embeddings), known)

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

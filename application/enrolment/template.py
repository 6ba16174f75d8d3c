"""A template is the mean direction of the faces on photographs of one person."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import attrs

from application.enrolment.enrolment_warnings import EnrolmentWarning, blurred, far_apart
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from domain.calibration import Calibration
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
    """A photograph to enrol somebody from, and what to call it when there is something to say about it.

    ``image_ref`` is where it lies in the object store, in its canonical form; None where it lies elsewhere.
    """

    name: str
    content: bytes = attrs.field(repr=False)
    image_ref: str | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 digest of the content."""
        return sha256(self.content).digest()


Fetch = Callable[[str], Awaitable[EnrolmentImage]]
"""Returns the photograph of that name.

Raises :class:`EnrolmentRefusedError` where there is none, :class:`AttemptFailedError` where the system failed.
"""


@attrs.frozen
class MadeTemplate:
    """A template, of how many photographs it is the mean, and what speaks against these.

    ``image_refs`` are where they lie, and ``image_digests`` their SHA-256 digests, both empty unless all of them lie in
    the object store.
    """

    template: FaceEmbedding
    photographs: int
    image_refs: tuple[str, ...]
    image_digests: tuple[bytes, ...]
    warnings: tuple[EnrolmentWarning, ...]


@attrs.frozen(kw_only=True)
class MakeTemplate:
    """Every photograph has to show exactly one face, of the quality that is asked for.

    They are fetched one after the other, and none is kept: however many they are, few are in memory.
    """

    reader: FaceReader
    quality: FaceQuality
    calibration: Calibration

    async def __call__(self, photographs: Sequence[str], fetch: Fetch) -> MadeTemplate:
        """Return the template; of photographs with the same content one counts.

        Raises:
            EnrolmentRefusedError: photographs that cannot be had, or are without exactly one usable face, all of which
                are named; or none at all.
            AttemptFailedError: the system failed.

        """
        problems: list[str] = []
        embeddings: dict[str, FaceEmbedding] = {}
        sharpness: dict[str, float | None] = {}
        refs: dict[str, str | None] = {}
        digests: list[bytes] = []
        for name in photographs:
            try:
                image = await fetch(name)
                if (digest := image.digest) in digests:
                    continue
                digests.append(digest)
                embeddings[name], sharpness[name] = await self._embed(image)
                refs[name] = image.image_ref
            except EnrolmentRefusedError as refused:
                problems.extend(refused.problems)
        if problems or not embeddings:
            raise EnrolmentRefusedError(problems or ["no photograph was given"])
        stored = tuple(ref for ref in refs.values() if ref is not None)
        known = (stored, tuple(digests)) if len(stored) == len(refs) else ((), ())
        template = FaceEmbedding.mean_direction(list(embeddings.values()))
        warnings = (*blurred(sharpness, self.reader.info.least_sharpness), *far_apart(embeddings, self.calibration))
        return MadeTemplate(template, len(embeddings), *known, warnings)

    async def _embed(self, image: EnrolmentImage) -> tuple[FaceEmbedding, float | None]:
        try:
            reading = await self.reader.read(image.content, embed=Embed.ONLY_FACE)
        except JobRejectedError as error:
            raise EnrolmentRefusedError([f"{image.name}: {error}"]) from error
        objection = check_face_count(len(reading.faces))
        if objection is None:
            objection = check_quality(reading.faces[0], self.quality)
        if objection is not None:
            raise EnrolmentRefusedError([f"{image.name}: {objection.detail}"])
        [face] = reading.faces
        return face.wanted_embedding, face.sharpness

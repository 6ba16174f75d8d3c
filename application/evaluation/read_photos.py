"""Reading all photographs of a collection of known people, for whoever measures with them."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256

import attrs

from application.concurrency import as_async, for_each_bounded
from application.ports.clock import Clock
from application.ports.face_pipeline import Embed, EmbedderInfo
from application.ports.face_reader import FaceReader
from application.ports.known_readings import KnownReadings
from application.ports.labelled_photos import LabelledPhoto, LabelledPhotos
from application.progress import Progress
from domain.errors import AttemptFailedError, EmbedderUnavailableError, JobRejectedError
from domain.evaluation.proportions import Proportion
from domain.evaluation.results import Acquisition
from domain.evaluation.subjects import Subject, subject_of
from domain.faces import DetectedFace, FaceEmbedding, PhotoReading, StageTiming
from domain.guardrails import FaceQuality, Objection, check_quality
from domain.outcomes import Reason


@attrs.frozen
class UsableFace:
    """The face of a photograph's subject."""

    photo: LabelledPhoto
    face: DetectedFace
    embedding: FaceEmbedding

    @property
    def person(self) -> str:
        """Whose photograph it is."""
        return self.photo.person


@attrs.frozen
class Seen:
    """What became of one photograph: its subject's face, or why none is usable.

    ``several`` if it shows more faces than one. ``known`` if it was read before, ``unread`` if it could not be.
    ``digest`` tells its content from any other; None where it could not be fetched.
    """

    photo: LabelledPhoto
    usable: UsableFace | None
    reason: Reason | None = None
    stages: tuple[StageTiming, ...] = ()
    known: bool = False
    several: bool = False
    unread: bool = False
    digest: bytes | None = None


@attrs.frozen
class SeenPhotos:
    """What became of all, in the collection's order, and how long it took; of ``copies`` the first one stands there."""

    all: tuple[Seen, ...]
    seconds: float
    copies: int = 0

    @property
    def people(self) -> Mapping[str, Sequence[Seen]]:
        """Everything by person."""
        people: dict[str, list[Seen]] = defaultdict(list)
        for seen in self.all:
            people[seen.photo.person].append(seen)
        return people

    @property
    def acquired(self) -> Mapping[str, Sequence[UsableFace]]:
        """The usable faces of everybody with at least one."""
        people: dict[str, list[UsableFace]] = defaultdict(list)
        for seen in self.all:
            if seen.usable:
                people[seen.photo.person].append(seen.usable)
        return people

    @property
    def acquisition(self) -> Acquisition:
        """What is said of the reading itself."""
        took: dict[str, list[float]] = defaultdict(list)
        for stage in (stage for seen in self.all for stage in seen.stages):
            took[stage.name].append(stage.milliseconds)
        return Acquisition(
            people=len(self.people),
            photographs=len(self.all),
            known=sum(seen.known for seen in self.all),
            seconds=self.seconds,
            milliseconds={name: statistics.fmean(times) for name, times in took.items()},
            failure_to_acquire=Proportion.by_person((seen.photo.person, seen.usable is None) for seen in self.all),
            not_acquired=Counter(seen.reason for seen in self.all if seen.reason is not None),
            several_faces=sum(seen.several for seen in self.all),
            copies=self.copies,
            unread={str(seen.photo): seen.reason for seen in self.all if seen.unread and seen.reason},
        )


@attrs.frozen(kw_only=True)
class ReadPhotos:
    """Reads with one embedder; ``concurrency`` says how many photographs are in hand at once.

    A face of less than this ``quality`` is not usable, as in the service. What is kept of a photograph is what was read
    from it, so that another quality can be asked for the next time.
    """

    reader: FaceReader
    clock: Clock
    concurrency: int
    quality: FaceQuality

    @property
    def info(self) -> EmbedderInfo:
        """Who makes the embeddings."""
        return self.reader.info

    async def __call__(
        self,
        collection: LabelledPhotos,
        subject: Subject,
        known: KnownReadings | None,
        progress: Progress,
    ) -> SeenPhotos:
        """Return what became of each photograph; what is ``known`` is not read again, what is read gets known.

        Of a person's photographs with the same content one counts, as where somebody is enrolled: the others would be
        recognised without fail. A photograph that cannot be read is told by its reason, and tried again the next time.

        Raises:
            FacematchError: there are no photographs, what is known cannot be looked up or kept, or the embedder cannot
                be loaded.

        """
        photos = collection.photos()
        started = self.clock.monotonic()
        found: dict[int, Seen] = {}

        async def read(numbered: tuple[int, LabelledPhoto]) -> None:
            number, photo = numbered
            found[number] = await self._read(collection, photo, subject, known)
            progress(len(found), len(photos))

        await for_each_bounded(as_async(enumerate(photos)), read, concurrency=self.concurrency)
        once = _without_copies([found[number] for number in range(len(photos))])
        return SeenPhotos(once, self.clock.monotonic() - started, len(photos) - len(once))

    async def _read(
        self, collection: LabelledPhotos, photo: LabelledPhoto, subject: Subject, known: KnownReadings | None
    ) -> Seen:
        try:
            image = await collection.fetch(photo)
        except (JobRejectedError, AttemptFailedError) as error:
            return Seen(photo, None, error.reason, unread=True)
        return attrs.evolve(await self._look(image, photo, subject, known), digest=sha256(image).digest())

    async def _look(self, image: bytes, photo: LabelledPhoto, subject: Subject, known: KnownReadings | None) -> Seen:
        embed = Embed.ONLY_FACE if subject is Subject.ONE else Embed.ALL
        try:
            before = await known.find(image, embed=embed) if known else None
            reading = before or await self.reader.read(image, embed=embed)
        except EmbedderUnavailableError:
            raise
        except (JobRejectedError, AttemptFailedError) as error:
            return Seen(photo, None, error.reason, unread=True)
        if known and before is None:
            await known.keep(image, reading, embed=embed)
        return self._seen(photo, reading, subject, is_known=before is not None)

    def _seen(self, photo: LabelledPhoto, reading: PhotoReading, subject: Subject, *, is_known: bool) -> Seen:
        found = subject_of(reading, subject)
        several = len(reading.faces) > 1
        objection = found if isinstance(found, Objection) else check_quality(found, self.quality)
        match objection or found:
            case Objection(reason=reason):
                return Seen(photo, None, reason, reading.stages, is_known, several)
            case DetectedFace() as face:
                usable = UsableFace(photo, face, face.wanted_embedding)
                return Seen(photo, usable, None, reading.stages, is_known, several)


def _without_copies(photographs: Sequence[Seen]) -> tuple[Seen, ...]:
    """Return the photographs without those of a person that have the content of an earlier one of theirs."""
    first: dict[tuple[str, bytes], Seen] = {}
    return tuple(
        seen
        for seen in photographs
        if seen.digest is None or first.setdefault((seen.photo.person, seen.digest), seen) is seen
    )

"""The main use case: find out whose face is on one photograph, and record it once."""

import attrs

from application.ports.clock import Clock
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from application.ports.gallery import Gallery
from application.ports.ledger import CandidateGoneError, FaceResult, Ledger
from application.ports.photo_store import PhotoStore
from application.ports.telemetry import JobTrace
from domain.decision import NEEDED_CANDIDATES, ThresholdPolicy, decide
from domain.errors import AttemptFailedError, JobRejectedError
from domain.faces import DetectedFace
from domain.guardrails import FaceQuality, Objection, check_face_count, check_photo, check_quality, check_request
from domain.images import ImageRef, ImageRefPolicy
from domain.jobs import JobKey, MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import Failed, JobHeader, JobRecord, Skipped

_SEARCHES = 3
"""How often a search is repeated because whom it found was deleted, blocked or enrolled anew before the commit."""


@attrs.frozen
class MatchPolicy:
    """What is configured about matching: sizes in original pixels and in bytes."""

    image_refs: ImageRefPolicy
    threshold: ThresholdPolicy
    quality: FaceQuality
    max_image_bytes: int
    margin: float = 0.0


@attrs.frozen
class Conclusion:
    """The outcome that stands, and whether an earlier delivery of the same job had recorded it."""

    record: JobRecord
    repeated: bool


class _StoppedError(JobRejectedError):
    """A guardrail stopped the job."""

    def __init__(self, objection: Objection) -> None:
        super().__init__(objection.detail)
        self.reason = objection.reason


def _pass(objection: Objection | None) -> None:
    if objection is not None:
        raise _StoppedError(objection)


@attrs.frozen(kw_only=True)
class MatchSingleFace:
    """Takes a job through the guardrails, cheapest first, to its recorded outcome."""

    ledger: Ledger
    photos: PhotoStore
    reader: FaceReader
    gallery: Gallery
    clock: Clock
    policy: MatchPolicy
    worker: str

    async def __call__(self, key: JobKey, request: MatchJob | MalformedJob, trace: JobTrace) -> Conclusion:
        """Return the job's outcome, recorded.

        Raises:
            AttemptFailedError: the system failed, not the job; nothing was recorded.

        """
        match request:
            case MalformedJob(problems=problems):
                objection = Objection(Reason.MALFORMED_PAYLOAD, "; ".join(problems))
                return await self._skip(key, request, objection, trace)
            case MatchJob():
                try:
                    return await self._match(key, request, trace)
                except JobRejectedError as error:
                    return await self._skip(key, request, Objection(error.reason, str(error)), trace)

    async def give_up(
        self, key: JobKey, request: MatchJob | MalformedJob, reason: Reason, detail: str, trace: JobTrace
    ) -> Conclusion:
        """Record that every attempt failed, unless an outcome stands already."""
        return await self._conclude(key, request, Failed(reason, detail), trace)

    async def _skip(
        self, key: JobKey, request: MatchJob | MalformedJob, objection: Objection, trace: JobTrace
    ) -> Conclusion:
        return await self._conclude(key, request, Skipped(objection.reason, objection.detail), trace)

    async def _conclude(
        self, key: JobKey, request: MatchJob | MalformedJob, outcome: Skipped | Failed, trace: JobTrace
    ) -> Conclusion:
        record = self._header(key, request, trace).record(outcome)
        with trace.stage("transaction"):
            stands = await self.ledger.conclude(record)
        return Conclusion(stands, repeated=stands != record)

    async def _match(self, key: JobKey, job: MatchJob, trace: JobTrace) -> Conclusion:
        with trace.stage("guardrails"):
            _pass(check_request(job))
            ref = self.policy.image_refs.parse(job.image_ref or "")
            known = await self.ledger.recall(key, job.photo_id)
            if known.record is not None:
                return Conclusion(known.record, repeated=True)
            _pass(check_photo(exists=known.photo_exists, already_matched=known.already_matched))
        face = await self._read_face(ref, trace)
        return await self._decide(key, job, face, trace)

    async def _read_face(self, ref: ImageRef, trace: JobTrace) -> DetectedFace:
        with trace.stage("fetch"):
            image = await self.photos.fetch(ref, max_bytes=self.policy.max_image_bytes)
        with trace.stage("vision"):
            reading = await self.reader.read(image, embed=Embed.ONLY_FACE)
            trace.record_timings(reading.stages)
        _pass(check_face_count(len(reading.faces)))
        [face] = reading.faces
        _pass(check_quality(face, self.policy.quality))
        return face

    async def _decide(self, key: JobKey, job: MatchJob, face: DetectedFace, trace: JobTrace) -> Conclusion:
        embedding = face.wanted_embedding
        for _ in range(_SEARCHES):
            with trace.stage("search"):
                found = await self.gallery.search(embedding, limit=NEEDED_CANDIDATES)
            decision = decide(found.nearest, self.policy.threshold, found.gallery_size, self.policy.margin)
            header = self._header(key, job, trace)
            try:
                with trace.stage("transaction"):
                    stands = await self.ledger.conclude_face(header, FaceResult(embedding, face.box, decision))
            except CandidateGoneError:
                continue
            return Conclusion(stands, repeated=stands != header.record(stands.outcome))
        raise AttemptFailedError("the users who were found kept disappearing before the match could be recorded")

    def _header(self, key: JobKey, request: MatchJob | MalformedJob, trace: JobTrace) -> JobHeader:
        return JobHeader(
            key=key,
            occurred_at=self.clock.now(),
            embedder=self.reader.info.id,
            worker=self.worker,
            photo_id=request.photo_id,
            face_index=request.face_index,
            job_id=request.job_id,
            traceparent=trace.traceparent,
        )

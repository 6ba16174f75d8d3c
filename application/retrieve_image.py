"""The image that a job was about, fetched again for whoever wants to see it."""

from collections.abc import Sequence

import attrs

from application.ports.job_archive import JobArchive
from application.ports.job_queue import JobParser
from application.ports.photo_store import PhotoStore
from domain.errors import FacematchError
from domain.images import ImageRefPolicy
from domain.jobs import MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord


class NoImageError(FacematchError):
    """It is not known any more, or never was, which image the job was about."""


@attrs.frozen
class RetrieveImage:
    """Reads the job itself, because the ledger does not say where its image is."""

    archive: JobArchive
    parser: JobParser
    photos: PhotoStore
    image_refs: ImageRefPolicy
    max_bytes: int

    async def __call__(self, record: JobRecord) -> bytes:
        """Return the image's bytes.

        Raises:
            NoImageError: the job is not kept any more, or names no image.
            InvalidImageRefError: it names one that may not be fetched.
            JobRejectedError, StorageUnavailableError: it cannot be fetched.
            MessagingUnavailableError: the broker does not answer.

        """
        body = await self.archive.find(record.key)
        if body is None:
            raise NoImageError(f"job {record.key} is not kept in its stream any more: which image it named is unknown")
        job = self.parser.parse(body)
        if not isinstance(job, MatchJob) or not job.image_ref:
            raise NoImageError(f"job {record.key} names no image")
        return await self.photos.fetch(self.image_refs.parse(job.image_ref), max_bytes=self.max_bytes)


def telling(records: Sequence[JobRecord]) -> JobRecord:
    """Return the record to look at a photo with: the newest, but for those which only say that there is a match."""
    return next((record for record in records if record.outcome.reason is not Reason.ALREADY_MATCHED), records[0])

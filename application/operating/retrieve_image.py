"""The image that a job was about, fetched again for whoever wants to see it."""

from collections.abc import Sequence

import attrs

from application.ports.job_archive import JobArchive
from application.ports.job_queue import JobParser
from application.ports.photo_store import PhotoStore
from domain.errors import FacematchError, JobRejectedError
from domain.images import ImageRefPolicy
from domain.jobs import MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord


class NoImageError(FacematchError):
    """It is not known any more, or never was, which image the job was about."""


@attrs.frozen
class Retrieved:
    """An image, and the record of the job that named it."""

    record: JobRecord
    content: bytes


@attrs.frozen
class RetrieveImage:
    """Reads the jobs themselves, because the ledger does not say where their images are."""

    archive: JobArchive
    parser: JobParser
    photos: PhotoStore
    image_refs: ImageRefPolicy
    max_bytes: int

    async def __call__(self, records: Sequence[JobRecord]) -> Retrieved:
        """Return the image of the first job whose image can be had, of records of one photo in their order.

        Jobs that only found a match there already tell nothing, and come after all others.

        Raises:
            NoImageError: none has one; the first job is not kept any more, or names no image.
            JobRejectedError: none has one; that of the first may not be fetched, is not there, or is too large.
            StorageUnavailableError: the object store does not give one.
            MessagingUnavailableError: the broker does not answer.

        """
        failures: list[FacematchError] = []
        for record in sorted(records, key=_only_found_a_match):
            try:
                return Retrieved(record, await self._image_of(record))
            except (NoImageError, JobRejectedError) as error:
                failures.append(error)
        raise failures[0] if failures else NoImageError("no job of this photo has ended")

    async def _image_of(self, record: JobRecord) -> bytes:
        body = await self.archive.find(record.key)
        if body is None:
            raise NoImageError(f"job {record.key} is not kept in its stream any more: which image it named is unknown")
        job = self.parser.parse(body)
        if not isinstance(job, MatchJob) or not job.image_ref:
            raise NoImageError(f"job {record.key} names no image")
        return await self.photos.fetch(self.image_refs.parse(job.image_ref), max_bytes=self.max_bytes)


def _only_found_a_match(record: JobRecord) -> bool:
    return record.outcome.reason is Reason.ALREADY_MATCHED

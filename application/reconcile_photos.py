"""Publishing again what was lost: a job for each photo that has neither an answer nor a job in flight."""

from collections.abc import Callable, Sequence

import attrs

from application.ports.clock import Clock
from application.ports.jobs_in_flight import JobsInFlight
from application.ports.photo_catalogue import CataloguedPhoto, PhotoCatalogue
from application.ports.republisher import Republisher
from domain.images import ImageRefPolicy, InvalidImageRefError
from domain.jobs import MatchJob

Progress = Callable[[int, int], None]
"""Hears how many of about how many photos were looked at."""

_PAGE = 5_000
_BATCH = 50_000


@attrs.define
class Reconciliation:
    """What was found among the ``photos`` that were looked at.

    ``answered`` have an outcome or a match, ``in_flight`` a job that has not ended. The rest lacks a job: no image is
    known of those ``without_image_ref``, the reference of those of ``invalid_image_ref`` would be refused, and the
    ``missing`` ones get their job: ``published`` by this run or, at the same time, by another. ``example`` is the
    first of the missing jobs, ``example_of_invalid`` the first such reference.
    """

    photos: int = 0
    answered: int = 0
    in_flight: int = 0
    without_image_ref: int = 0
    invalid_image_ref: int = 0
    missing: int = 0
    published: int = 0
    example: MatchJob | None = None
    example_of_invalid: str | None = None


@attrs.frozen(kw_only=True)
class ReconcilePhotos:
    """Goes through the whole catalogue, holding no more than a batch of it.

    Safe at any time, while workers work and others do the same. The queue is looked at before the photos: a job that
    ends in between has its outcome by then. It is looked at again ``grace_seconds`` after them, so that a photo whose
    job was only just being published is not taken for one without.
    """

    catalogue: PhotoCatalogue
    in_flight: JobsInFlight
    republisher: Republisher
    image_refs: ImageRefPolicy
    clock: Clock
    grace_seconds: float
    page_size: int = _PAGE
    batch_size: int = _BATCH

    async def __call__(self, *, dry_run: bool = False, progress: Progress = lambda _done, _of: None) -> Reconciliation:
        """Publish what is missing, or with ``dry_run`` only tell.

        A job that could end in nothing but ``missing_image_ref`` or ``invalid_image_ref`` is not published: the
        photo would count as answered ever after, although its reference may be set or mended tomorrow.

        Raises:
            FacematchError: database or broker do not answer, or may not be asked. What was published stays: doing it
                again goes on from there.

        """
        found = Reconciliation()
        estimate = await self.catalogue.estimate()
        await self.in_flight.among(())
        batch: list[CataloguedPhoto] = []
        last = None
        while True:
            page = await self.catalogue.unanswered(after=last, limit=self.page_size)
            last = page.last
            found.photos += page.looked_at
            found.answered += page.looked_at - len(page.photos)
            batch += await self._without_job(page.photos, found)
            if batch and (last is None or len(batch) >= self.batch_size):
                await self.clock.sleep(self.grace_seconds)
                await self._settle(batch, found, dry_run=dry_run)
                batch = []
            if last is None:
                progress(found.photos, found.photos)
                return found
            progress(found.photos, max(estimate, found.photos))

    async def _without_job(self, photos: Sequence[CataloguedPhoto], found: Reconciliation) -> list[CataloguedPhoto]:
        flying = (await self.in_flight.among([photo.id for photo in photos])).photos
        found.in_flight += len(flying)
        return [photo for photo in photos if photo.id not in flying]

    async def _settle(self, batch: Sequence[CataloguedPhoto], found: Reconciliation, *, dry_run: bool) -> None:
        flight = await self.in_flight.among([photo.id for photo in batch])
        found.in_flight += len(flight.photos)
        jobs = [job for photo in batch if photo.id not in flight.photos and (job := self._job(photo, found))]
        found.missing += len(jobs)
        if jobs and found.example is None:
            found.example = jobs[0]
        if not dry_run:
            found.published += await self.republisher.publish(jobs, unless_after=flight.position)

    def _job(self, photo: CataloguedPhoto, found: Reconciliation) -> MatchJob | None:
        if not photo.image_ref:
            found.without_image_ref += 1
            return None
        try:
            self.image_refs.parse(photo.image_ref)
        except InvalidImageRefError as error:
            found.invalid_image_ref += 1
            found.example_of_invalid = found.example_of_invalid or f"photo {photo.id}: {error}"
            return None
        return MatchJob(photo.id, photo.image_ref)

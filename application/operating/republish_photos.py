"""Publishing a job for each photo that lacks one, or is to be looked at again, and has none in flight."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from uuid import UUID

import attrs

from application.ports.clock import Clock
from application.ports.jobs_in_flight import InFlight, JobsInFlight
from application.ports.photo_catalogue import CataloguedPhoto, CataloguePage, LastOutcome, PhotoCatalogue
from application.ports.republisher import Republisher
from domain.images import ImageRefPolicy, InvalidImageRefError
from domain.jobs import MatchJob

_PAGE = 5_000
_BATCH = 50_000


@attrs.define
class Republication:
    """What was found among the ``photos`` that were looked at.

    ``left_out`` are matched, or not meant by their last outcome; ``in_flight`` have a job that has not ended. The
    rest are to have one: no image is known of those ``without_image_ref``, the reference of those of
    ``invalid_image_ref`` would be refused, and the ``due`` ones get their job: ``published`` by this run or, at the
    same time, by another. ``example`` is the first of the due jobs, ``example_of_invalid`` the first such reference.
    """

    photos: int = 0
    left_out: int = 0
    in_flight: int = 0
    without_image_ref: int = 0
    invalid_image_ref: int = 0
    due: int = 0
    published: int = 0
    example: MatchJob | None = None
    example_of_invalid: str | None = None


RepublicationProgress = Callable[[Republication, int, int], None]
"""Hears what was found so far, and how many of about how many photos are done with."""


@attrs.frozen(kw_only=True)
class RepublishPhotos:
    """Goes through the whole catalogue, holding no more than a batch of it, and the page after it.

    Safe at any time, while workers work and others do the same. The queue is looked at before the photos: a job that
    ends in between has its outcome by then. It is looked at again ``grace_seconds`` after them, so that a photo whose
    job was only just being published is not taken for one without; ``batch_size`` photos share that time.
    ``jobs_per_second`` is how many are published at most; None sets no limit. Without a grace time and a limit, the
    queue is looked at only once: most of what comes into it meanwhile comes from here.
    """

    catalogue: PhotoCatalogue
    in_flight: JobsInFlight
    republisher: Republisher
    image_refs: ImageRefPolicy
    clock: Clock
    grace_seconds: float = 0.0
    jobs_per_second: float | None = None
    page_size: int = _PAGE
    batch_size: int = _BATCH

    async def __call__(
        self, last_outcome: LastOutcome, *, dry_run: bool = False, progress: RepublicationProgress
    ) -> Republication:
        """Publish for the unmatched photos that are meant by their last outcome, or with ``dry_run`` only tell.

        A job that could end in nothing but ``missing_image_ref`` or ``invalid_image_ref`` is not published: the
        photo would count as answered ever after, although its reference may be set or mended tomorrow.

        Raises:
            FacematchError: database or broker do not answer, or may not be asked. What was published stays.

        """
        pace = _Pace(self.clock, None if dry_run else self.jobs_per_second)
        run = _Run(progress, await self.catalogue.estimate())
        run.tell()
        await self.in_flight.begin()
        async with aclosing(self._batches(last_outcome, run)) as batches:
            async for batch, looked_at in batches:
                if batch:
                    await self.clock.sleep(self.grace_seconds)
                settled = 0
                for part in pace.parts(batch):
                    await pace.wait(len(part))
                    await self._settle(part, run.found, dry_run=dry_run)
                    settled += len(part)
                    run.tell(looked_at * settled // len(batch))
                run.done += looked_at
                run.tell()
        progress(run.found, run.done, run.found.photos)
        return run.found

    async def _batches(
        self, last_outcome: LastOutcome, run: "_Run"
    ) -> AsyncGenerator[tuple[Sequence[CataloguedPhoto], int], None]:
        """Yield photos that seem to lack a job, as many as share a grace time, and among how many they were."""
        enough = self.batch_size if self.grace_seconds else self.page_size
        batch: list[CataloguedPhoto] = []
        looked_at = 0
        async with aclosing(self._pages(last_outcome)) as pages:
            async for page in pages:
                batch += await self._without_job(page, run.found)
                looked_at += page.looked_at
                if batch and page.last is not None and len(batch) < enough:
                    run.tell()
                    continue
                yield batch, looked_at
                batch, looked_at = [], 0

    async def _pages(self, last_outcome: LastOutcome) -> AsyncGenerator[CataloguePage, None]:
        """Yield page after page; while the caller works on one, the next is read.

        An error in reading is raised when the page's turn comes: what the caller has in hand is done before.
        """

        def begin_to_read(after: UUID | None) -> asyncio.Task[CataloguePage]:
            return asyncio.create_task(self.catalogue.unmatched(last_outcome, after=after, limit=self.page_size))

        ahead = begin_to_read(None)
        try:
            while (page := await ahead).last is not None:
                ahead = begin_to_read(page.last)
                yield page
            yield page
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _without_job(self, page: CataloguePage, found: Republication) -> list[CataloguedPhoto]:
        found.photos += page.looked_at
        found.left_out += page.looked_at - len(page.photos)
        flying = (await self._flight(page.photos)).photos
        found.in_flight += len(flying)
        return [photo for photo in page.photos if photo.id not in flying]

    async def _settle(self, photos: Sequence[CataloguedPhoto], found: Republication, *, dry_run: bool) -> None:
        flight = await self._flight(photos)
        found.in_flight += len(flight.photos)
        jobs = [job for photo in photos if photo.id not in flight.photos and (job := self._job(photo, found))]
        found.due += len(jobs)
        if jobs and found.example is None:
            found.example = jobs[0]
        if not dry_run:
            found.published += await self.republisher.publish(jobs, unless_after=flight.position)

    async def _flight(self, photos: Sequence[CataloguedPhoto]) -> InFlight:
        look_again = self.grace_seconds > 0 or self.jobs_per_second is not None
        return await self.in_flight.among([photo.id for photo in photos], look_again=look_again)

    def _job(self, photo: CataloguedPhoto, found: Republication) -> MatchJob | None:
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


@attrs.define
class _Run:
    """How far it is: what was found, and how many of about so many photos are ``done`` with."""

    progress: RepublicationProgress
    estimate: int
    found: Republication = attrs.field(factory=Republication)
    done: int = 0

    def tell(self, more: int = 0) -> None:
        """Tell it; so many ``more`` are done with than those of whole batches."""
        self.progress(self.found, self.done + more, max(self.estimate, self.found.photos))


@attrs.define
class _Pace:
    """Lets so many pass in a second; all at once where there is no limit."""

    clock: Clock
    per_second: float | None
    _next: float = 0.0

    def parts(self, photos: Sequence[CataloguedPhoto]) -> Iterator[Sequence[CataloguedPhoto]]:
        """Cut into what may pass within one second."""
        size = max(1, len(photos) if self.per_second is None else int(self.per_second))
        return (photos[start : start + size] for start in range(0, len(photos), size))

    async def wait(self, count: int) -> None:
        """Return when so many may pass."""
        if self.per_second is None:
            return
        await self.clock.sleep(max(0.0, self._next - self.clock.monotonic()))
        self._next = self.clock.monotonic() + count / self.per_second

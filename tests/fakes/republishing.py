"""What publishing again needs, in memory: the catalogue of photos, the jobs in flight, and who publishes again."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from adapters.nats_jetstream.jobs.payload import JsonJobParser, encode_job
from application.ports.jobs_in_flight import InFlight
from application.ports.photo_catalogue import CataloguedPhoto, CataloguePage, LastOutcome
from domain.jobs import MatchJob
from tests.fakes.database import InMemoryDatabase
from tests.fakes.queue import InMemoryJobQueue


class InMemoryPhotoCatalogue:
    """Goes through the photos of an :class:`InMemoryDatabase`; ``image_refs`` says where images are."""

    def __init__(self, database: InMemoryDatabase, image_refs: Mapping[UUID, str | None]) -> None:
        self._database = database
        self._image_refs = image_refs

    async def estimate(self) -> int:
        """Return the number."""
        await self._database.operation("estimate")
        return len(self._database.photos)

    async def now(self) -> datetime:
        """Return the time of the database's clock."""
        await self._database.operation("now")
        return self._database.clock.now()

    async def unmatched(self, last_outcome: LastOutcome, *, after: UUID | None, limit: int) -> CataloguePage:
        """Look at the next photos in the order of their ids."""
        await self._database.operation("unmatched")
        page = sorted(photo for photo in self._database.photos if after is None or photo > after)[:limit]
        photos = [
            CataloguedPhoto(photo, self._image_refs.get(photo))
            for photo in page
            if self._is_meant(photo, last_outcome) and not self._database.is_matched(photo)
        ]
        return CataloguePage(photos, len(page), page[-1] if len(page) == limit else None)

    def _is_meant(self, photo: UUID, wanted: LastOutcome) -> bool:
        rows = [row for row in self._database.outcomes.values() if row.record.photo_id == photo]
        if not rows:
            return wanted.none
        last = max(rows, key=lambda row: (row.record.occurred_at, row.record.key.sequence))
        outcome, clock = last.record.outcome, self._database.clock
        recorded_at = clock.now() - timedelta(seconds=clock.monotonic() - last.recorded_at)
        is_early = wanted.before is None or recorded_at < wanted.before
        return is_early and (outcome.kind in wanted.kinds or outcome.reason in wanted.reasons)


class InMemoryJobsInFlight:
    """Looks into an :class:`InMemoryJobQueue`, from the first job that had not ended at the beginning."""

    def __init__(self, queue: InMemoryJobQueue) -> None:
        self._queue = queue
        self._floor = 0
        self._seen = 0

    async def begin(self) -> None:
        """Set the floor."""
        await self._look()
        running = [job.key.sequence for job in self._queue.jobs if not job.ended]
        self._floor = min(running) - 1 if running else len(self._queue.jobs)

    async def among(self, photos: Collection[UUID], *, look_again: bool = True) -> InFlight:
        """Look at every job above the floor."""
        if look_again:
            await self._look()
        parse = JsonJobParser().parse
        flying = {parse(job.body).photo_id for job in self._queue.jobs[self._floor : self._seen]}
        return InFlight(frozenset(photo for photo in photos if photo in flying), self._seen)

    async def _look(self) -> None:
        await self._queue.reach("look")
        self._seen = len(self._queue.jobs)


class InMemoryRepublisher:
    """Publishes into an :class:`InMemoryJobQueue`, which takes no second message of an id."""

    def __init__(self, queue: InMemoryJobQueue) -> None:
        self._queue = queue

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        """Publish each unless there is one from the same position on."""
        return sum([await self._publish(job, unless_after) for job in jobs])

    async def _publish(self, job: MatchJob, position: int) -> bool:
        await self._queue.reach("republish")
        await asyncio.sleep(0)
        body = encode_job(job)
        if any(stored.body == body for stored in self._queue.jobs[position:]):
            return False
        self._queue.publish(body)
        return True

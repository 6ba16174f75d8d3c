"""Publishing lost jobs again, and every job that is wanted."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import attrs
import pytest

from adapters.nats_jetstream.jobs.payload import JsonJobParser
from application.operating.republish_photos import Republication, RepublishPhotos
from application.ports.photo_catalogue import ANY_OR_NONE, NO_OUTCOME, CataloguePage, LastOutcome
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError
from domain.images import ImageRefPolicy
from domain.jobs import MatchJob
from domain.outcomes import Reason
from domain.records import Skipped
from tests.contract.ledger.jobs import header, later, record, unknown
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.progress import unheard
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.republishing import InMemoryJobsInFlight, InMemoryPhotoCatalogue, InMemoryRepublisher

GRACE_SECONDS = 5.0
PAGE = 3


class _Clock(ManualClock):
    """While somebody sleeps, something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.meanwhile()
        await super().sleep(seconds)


class _EventfulCatalogue(InMemoryPhotoCatalogue):
    """Just after a page was read, something happens."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    async def unmatched(self, last_outcome: LastOutcome, *, after: UUID | None, limit: int) -> CataloguePage:
        page = await super().unmatched(last_outcome, after=after, limit=limit)
        self.meanwhile()
        return page


class World:
    """An application's photos, a queue, and what was answered."""

    def __init__(self) -> None:
        self.clock = _Clock()
        self.database = InMemoryDatabase(self.clock)
        self.queue = InMemoryJobQueue(self.clock)
        self.ledger = InMemoryLedger(self.database)
        self.image_refs: dict[UUID, str | None] = {}
        self.catalogue = _EventfulCatalogue(self.database, self.image_refs)

    def add_photos(self, count: int) -> list[UUID]:
        """Insert photos, each with an image, in the order of their ids."""
        start = len(self.image_refs) + 1
        photos = [self.database.add_photo(UUID(int=number)) for number in range(start, start + count)]
        self.image_refs |= {photo: f"{photo}.jpg" for photo in photos}
        return photos

    async def submit(self, photo: UUID) -> None:
        """Publish a job as the application does."""
        await self.queue.submit(MatchJob(photo, self.image_refs[photo]))

    def reconcile(self) -> RepublishPhotos:
        """Return a run of its own."""
        return RepublishPhotos(
            catalogue=self.catalogue,
            in_flight=InMemoryJobsInFlight(self.queue),
            republisher=InMemoryRepublisher(self.queue),
            image_refs=ImageRefPolicy.of("images"),
            clock=self.clock,
            grace_seconds=GRACE_SECONDS,
            page_size=PAGE,
            batch_size=2 * PAGE,
        )

    def backfill(self) -> RepublishPhotos:
        """Return a run that leaves nobody any time."""
        return attrs.evolve(self.reconcile(), grace_seconds=0.0)

    def fail_after(self, pages: int) -> None:
        """Make the database go away when so many pages have been read."""
        left = iter([set[str]()] * (pages - 1))
        self.catalogue.meanwhile = lambda: self.database.failing.update(next(left, {"unmatched"}))

    def recover(self) -> None:
        """Let the database answer again."""
        self.catalogue.meanwhile = lambda: None
        self.database.failing.clear()

    def published(self) -> list[UUID | None]:
        """Return the photos of every job in the queue."""
        return [JsonJobParser().parse(job.body).photo_id for job in self.queue.jobs]


@pytest.fixture
def world() -> World:
    """Return an empty world."""
    return World()


async def test_a_photo_without_anything_gets_a_job(world: World) -> None:
    """With its image, as the application would have published it; those that are answered get none."""
    lost, answered, waiting, taken, *_ = world.add_photos(4)
    await world.ledger.conclude(record(photo_id=answered))
    await world.submit(taken)
    await world.queue.fetch(1, timeout_seconds=1)
    await world.submit(waiting)
    found = await world.reconcile()(NO_OUTCOME, progress=unheard)
    job = MatchJob(lost, f"{lost}.jpg")
    assert found == Republication(photos=4, left_out=1, in_flight=2, due=1, published=1, example=job)
    assert [JsonJobParser().parse(stored.body) for stored in world.queue.jobs[2:]] == [job]


async def test_a_second_run_finds_nothing_missing(world: World) -> None:
    """What the first one published is in flight."""
    photos = world.add_photos(20)
    first = await world.reconcile()(NO_OUTCOME, progress=unheard)
    second = await world.reconcile()(NO_OUTCOME, progress=unheard)
    assert (first.photos, first.due, first.published) == (20, 20, 20)
    assert (second.in_flight, second.due, second.published) == (20, 0, 0)
    assert world.published() == photos


async def test_a_dry_run_tells_the_same_and_publishes_nothing(world: World) -> None:
    """Only the number of published jobs differs."""
    world.add_photos(7)
    dry = await world.reconcile()(NO_OUTCOME, dry_run=True, progress=unheard)
    assert world.queue.jobs == []
    assert attrs.evolve(dry, published=7) == await world.reconcile()(NO_OUTCOME, progress=unheard)


async def test_a_job_that_ends_while_photos_are_read_is_not_missed(world: World) -> None:
    """It was in flight when the queue was looked at, and its outcome came after the page was read."""
    [photo] = world.add_photos(1)
    await world.submit(photo)
    [delivery] = await world.queue.fetch(1, timeout_seconds=1)

    def end() -> None:
        delivery.job.acked = True

    world.catalogue.meanwhile = end
    found = await world.reconcile()(NO_OUTCOME, progress=unheard)
    assert (found.in_flight, found.due) == (1, 0)


async def test_a_job_that_is_just_being_published_is_not_published_twice(world: World) -> None:
    """The application takes less than the grace time from inserting the photo to publishing its job."""
    [photo] = world.add_photos(1)
    body = b'{"photo_id": "%s"}' % str(photo).encode()
    world.clock.meanwhile = lambda: world.queue.publish(body)
    found = await world.reconcile()(NO_OUTCOME, progress=unheard)
    assert (found.in_flight, found.due) == (1, 0)
    assert [job.body for job in world.queue.jobs] == [body]
    assert world.clock.slept == [GRACE_SECONDS]


async def test_another_run_that_is_faster_is_not_repeated(world: World) -> None:
    """Both find the same jobs missing; together they publish each once."""
    photos = world.add_photos(5)
    other = InMemoryRepublisher(world.queue)
    reconcile = world.reconcile()
    run = attrs.evolve(reconcile, republisher=_After(other, world.image_refs))
    found = await run(NO_OUTCOME, progress=unheard)
    assert (found.due, found.published) == (5, 3)
    assert sorted(photo for photo in world.published() if photo) == photos


@attrs.frozen
class _After:
    """Publishes after somebody else has published the first two."""

    inner: InMemoryRepublisher
    image_refs: dict[UUID, str | None]

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        await self.inner.publish(jobs[:2], unless_after=unless_after)
        return await self.inner.publish(jobs, unless_after=unless_after)


async def test_without_anything_missing_nobody_waits(world: World) -> None:
    """The grace time is for photos that seem to lack a job."""
    [photo] = world.add_photos(1)
    await world.ledger.conclude(record(photo_id=photo))
    assert await world.reconcile()(NO_OUTCOME, progress=unheard) == Republication(photos=1, left_out=1)
    assert world.clock.slept == []


async def test_photos_without_a_usable_reference_are_counted_and_left_alone(world: World) -> None:
    """They would be answered once and for all by `missing_image_ref` and `invalid_image_ref`."""
    unknown, empty, foreign, also_foreign, good = world.add_photos(5)
    world.image_refs |= {unknown: None, empty: "", foreign: "minio://private/a.jpg", also_foreign: "s3://images/a.jpg"}
    found = await world.reconcile()(NO_OUTCOME, progress=unheard)
    assert (found.without_image_ref, found.invalid_image_ref, found.due, found.published) == (2, 2, 1, 1)
    assert found.example_of_invalid is not None
    assert str(foreign) in found.example_of_invalid
    assert world.published() == [good]


async def test_what_it_holds_is_bounded(world: World) -> None:
    """A batch is settled before more pages than make one are read."""
    world.add_photos(20)
    sizes: list[int] = []
    publish = InMemoryRepublisher(world.queue).publish

    class Counting:
        async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
            sizes.append(len(jobs))
            return await publish(jobs, unless_after=unless_after)

    await attrs.evolve(world.reconcile(), republisher=Counting())(NO_OUTCOME, progress=unheard)
    assert sizes == [6, 6, 6, 2]


async def test_while_a_page_is_published_the_next_one_is_read(world: World) -> None:
    """The next, and none beyond."""
    world.add_photos(4 * PAGE)
    read = 0
    read_before: list[int] = []
    inner = InMemoryRepublisher(world.queue)

    def count() -> None:
        nonlocal read
        read += 1

    class Patient:
        async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
            await _settled()
            read_before.append(read)
            return await inner.publish(jobs, unless_after=unless_after)

    world.catalogue.meanwhile = count
    found = await attrs.evolve(world.backfill(), republisher=Patient())(ANY_OR_NONE, progress=unheard)
    assert (found.published, read_before) == (4 * PAGE, [2, 3, 4, 5])


async def _settled() -> None:
    """Let everybody else go on until they wait for something."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_progress_is_told_page_by_page(world: World) -> None:
    """How many of how many; photos that are inserted meanwhile do not make it more than all. It ends with all."""
    world.add_photos(4)
    told: list[tuple[int, int]] = []
    world.catalogue.meanwhile = lambda: world.database.add_photo(UUID(int=1000 + len(world.database.photos)))
    await attrs.evolve(world.backfill(), page_size=4)(NO_OUTCOME, progress=lambda _, done, of: told.append((done, of)))
    assert told[:2] == [(0, 4), (4, 4)]
    assert all(done <= of for done, of in told)
    assert told[-1][0] == told[-1][1]


async def test_done_are_those_whose_jobs_are_published(world: World) -> None:
    """Where few of a page are due, a batch is of many pages, and nothing is done before its first job."""
    photos = world.add_photos(10 * PAGE)
    for number, photo in enumerate(photos):
        if number % PAGE:
            await world.ledger.conclude(record(photo_id=photo))
    told: list[tuple[int, int]] = []

    def hear(found: Republication, done: int, _of: int) -> None:
        told.append((found.published, done))

    run = attrs.evolve(world.reconcile(), page_size=PAGE, batch_size=4, jobs_per_second=1)
    await run(NO_OUTCOME, progress=hear)
    assert told[-1] == (10, 10 * PAGE)
    assert all(done <= published * PAGE for published, done in told)
    assert [done for _, done in told] == sorted(done for _, done in told)


@pytest.mark.parametrize("operation", ["estimate", "unmatched"])
async def test_without_a_database_it_ends(world: World, operation: str) -> None:
    """Another run will do it."""
    world.database.failing.add(operation)
    with pytest.raises(DatabaseUnavailableError):
        await world.reconcile()(NO_OUTCOME, progress=unheard)


@pytest.mark.parametrize("what", ["look", "republish"])
async def test_without_a_broker_it_ends(world: World, what: str) -> None:
    """Another run will do the rest."""
    world.add_photos(1)
    world.queue.failing.add(what)
    with pytest.raises(MessagingUnavailableError):
        await world.reconcile()(NO_OUTCOME, progress=unheard)


STRANGERS = LastOutcome(reasons=frozenset({Reason.NO_MATCH}))


async def test_photos_are_published_for_another_look(world: World) -> None:
    """Those that are meant, but for what is in flight and what is matched; nobody waits for a grace time."""
    stranger, waiting, faceless, matched, new = world.add_photos(5)
    for photo, reason in ((stranger, Reason.NO_MATCH), (waiting, Reason.NO_MATCH), (faceless, Reason.NO_FACE)):
        await world.ledger.conclude(record(Skipped(reason), photo_id=photo))
    await world.ledger.conclude_face(header(matched), unknown())
    [face] = world.database.faces()
    world.database.add_match(face.id, world.database.add_user(uuid4()))
    await world.submit(waiting)
    found = await world.backfill()(STRANGERS, progress=unheard)
    assert attrs.evolve(found, example=None) == Republication(photos=5, left_out=3, in_flight=1, due=1, published=1)
    everything = await world.backfill()(ANY_OR_NONE, progress=unheard)
    assert (everything.left_out, everything.in_flight, everything.published) == (1, 2, 2)
    assert world.published() == [waiting, stranger, faceless, new]
    assert sum(world.clock.slept) == 0


async def test_it_goes_on_where_it_was_interrupted(world: World) -> None:
    """What was done since the beginning is left out, and so is what is still in flight: each photo gets one job."""
    photos = world.add_photos(4 * PAGE)
    for photo in photos:
        await world.ledger.conclude(record(Skipped(Reason.NO_MATCH), photo_id=photo))
    world.clock.advance(1)
    began = await world.catalogue.now()
    world.fail_after(2)
    with pytest.raises(DatabaseUnavailableError):
        await world.backfill()(STRANGERS, progress=unheard)
    done, in_flight = await world.queue.fetch(2, timeout_seconds=1)
    assert in_flight.key.sequence == 2
    again = record(Skipped(Reason.NO_MATCH), photo_id=photos[0], job=done.key, occurred_at=later(1))
    await world.ledger.conclude(again)
    await done.ack()
    world.recover()
    found = await world.backfill()(attrs.evolve(STRANGERS, before=began), progress=unheard)
    assert (found.left_out, found.in_flight, found.published) == (1, 2 * PAGE - 1, 2 * PAGE)
    assert world.published() == photos


@pytest.mark.parametrize(("per_second", "sizes", "seconds"), [(2, [2, 1, 2, 1], 2.5), (100, [3, 3], 0.03)])
async def test_no_more_are_published_in_a_second_than_may_be(
    world: World, per_second: int, sizes: list[int], seconds: float
) -> None:
    """The pace is kept from page to page, and progress is told of each part of a page."""
    photos = world.add_photos(2 * PAGE)
    told: list[int] = []
    run = attrs.evolve(world.backfill(), jobs_per_second=per_second)
    found = await run(ANY_OR_NONE, progress=lambda _, done, _of: told.append(done))
    assert (found.published, world.published()) == (2 * PAGE, photos)
    assert world.clock.monotonic() == pytest.approx(seconds)
    assert told == sorted(told)
    assert {sum(sizes[: number + 1]) for number in range(len(sizes))} <= set(told)


@pytest.mark.parametrize(("per_second", "jobs"), [(PAGE, 2), (None, 3)])
async def test_while_there_is_time_the_queue_is_looked_at_again(
    world: World, per_second: int | None, jobs: int
) -> None:
    """What the application publishes during a run at a pace is left out; one without is over before much comes."""
    *_, last = world.add_photos(2)
    body = b'{"photo_id": "%s"}' % str(last).encode()
    world.catalogue.meanwhile = lambda: world.queue.publish(body)
    await attrs.evolve(world.backfill(), jobs_per_second=per_second)(ANY_OR_NONE, progress=unheard)
    assert len(world.queue.jobs) == jobs


async def test_a_dry_run_needs_no_pace(world: World) -> None:
    """It publishes nothing that could come too fast."""
    world.add_photos(2 * PAGE)
    found = await attrs.evolve(world.backfill(), jobs_per_second=1)(ANY_OR_NONE, dry_run=True, progress=unheard)
    assert (found.due, found.published, world.clock.monotonic()) == (2 * PAGE, 0, 0)


async def test_what_was_found_is_known_when_it_fails(world: World) -> None:
    """Whoever hears the progress knows how many jobs were published before."""
    world.add_photos(3 * PAGE)
    heard: list[Republication] = []
    world.fail_after(2)
    with pytest.raises(DatabaseUnavailableError):
        await world.backfill()(ANY_OR_NONE, progress=lambda found, _done, _of: heard.append(found))
    assert heard[-1].published == len(world.queue.jobs) == 2 * PAGE


@attrs.frozen
class _Troubled:
    """Whatever else is at work, publishing fails, or does not come to its end."""

    is_stuck: bool
    begun: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        del jobs, unless_after
        await _settled()
        self.begun.set()
        if self.is_stuck:
            await asyncio.Event().wait()
        raise MessagingUnavailableError("no answer")


class _StuckCatalogue(InMemoryPhotoCatalogue):
    """The second page is never read to its end."""

    async def unmatched(self, last_outcome: LastOutcome, *, after: UUID | None, limit: int) -> CataloguePage:
        if after is not None:
            await asyncio.Event().wait()
        return await super().unmatched(last_outcome, after=after, limit=limit)


@pytest.mark.parametrize("reading_fails", [True, False])
async def test_where_publishing_fails_nothing_is_read_any_more(world: World, *, reading_fails: bool) -> None:
    """Its error is the one that is told, whatever becomes of the page that was being read meanwhile."""
    world.add_photos(2 * PAGE)
    world.fail_after(1)
    catalogue = world.catalogue if reading_fails else _StuckCatalogue(world.database, world.image_refs)
    run = attrs.evolve(world.backfill(), catalogue=catalogue, republisher=_Troubled(is_stuck=False))
    with pytest.raises(MessagingUnavailableError):
        await run(ANY_OR_NONE, progress=unheard)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_is_interrupted_reads_and_publishes_no_more(world: World) -> None:
    """Both end before the run does."""
    world.add_photos(2 * PAGE)
    republisher = _Troubled(is_stuck=True)
    catalogue = _StuckCatalogue(world.database, world.image_refs)
    run = attrs.evolve(world.backfill(), catalogue=catalogue, republisher=republisher)
    running = asyncio.ensure_future(run(ANY_OR_NONE, progress=unheard))
    await republisher.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == {asyncio.current_task()}

"""Publishing lost jobs again."""

from collections.abc import Callable, Sequence
from uuid import UUID

import attrs
import pytest

from adapters.nats_jetstream.payload import JsonJobParser
from application.ports.photo_catalogue import CataloguePage
from application.reconcile_photos import ReconcilePhotos, Reconciliation
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError
from domain.images import ImageRefPolicy
from domain.jobs import MatchJob
from tests.contract.ledger.jobs import record
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.reconciling import InMemoryJobsInFlight, InMemoryPhotoCatalogue, InMemoryRepublisher

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

    async def unanswered(self, *, after: UUID | None, limit: int) -> CataloguePage:
        page = await super().unanswered(after=after, limit=limit)
        self.meanwhile()
        return page


class World:
    """An application's photos, a queue, and what was answered."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        self.queue = InMemoryJobQueue()
        self.clock = _Clock()
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

    def reconcile(self) -> ReconcilePhotos:
        """Return a run of its own."""
        return ReconcilePhotos(
            catalogue=self.catalogue,
            in_flight=InMemoryJobsInFlight(self.queue),
            republisher=InMemoryRepublisher(self.queue),
            image_refs=ImageRefPolicy.of("images"),
            clock=self.clock,
            grace_seconds=GRACE_SECONDS,
            page_size=PAGE,
            batch_size=2 * PAGE,
        )

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
    found = await world.reconcile()()
    job = MatchJob(lost, f"{lost}.jpg")
    assert found == Reconciliation(photos=4, answered=1, in_flight=2, missing=1, published=1, example=job)
    assert [JsonJobParser().parse(stored.body) for stored in world.queue.jobs[2:]] == [job]


async def test_a_second_run_finds_nothing_missing(world: World) -> None:
    """What the first one published is in flight."""
    photos = world.add_photos(20)
    first = await world.reconcile()()
    second = await world.reconcile()()
    assert (first.photos, first.missing, first.published) == (20, 20, 20)
    assert (second.in_flight, second.missing, second.published) == (20, 0, 0)
    assert world.published() == photos


async def test_a_dry_run_tells_the_same_and_publishes_nothing(world: World) -> None:
    """Only the number of published jobs differs."""
    world.add_photos(7)
    dry = await world.reconcile()(dry_run=True)
    assert world.queue.jobs == []
    assert attrs.evolve(dry, published=7) == await world.reconcile()()


async def test_a_job_that_ends_while_photos_are_read_is_not_missed(world: World) -> None:
    """It was in flight when the queue was looked at, and its outcome came after the page was read."""
    [photo] = world.add_photos(1)
    await world.submit(photo)
    [delivery] = await world.queue.fetch(1, timeout_seconds=1)

    def end() -> None:
        delivery.job.acked = True

    world.catalogue.meanwhile = end
    found = await world.reconcile()()
    assert (found.in_flight, found.missing) == (1, 0)


async def test_a_job_that_is_just_being_published_is_not_published_twice(world: World) -> None:
    """The application takes less than the grace time from inserting the photo to publishing its job."""
    [photo] = world.add_photos(1)
    body = b'{"photo_id": "%s"}' % str(photo).encode()
    world.clock.meanwhile = lambda: world.queue.publish(body)
    found = await world.reconcile()()
    assert (found.in_flight, found.missing) == (1, 0)
    assert [job.body for job in world.queue.jobs] == [body]
    assert world.clock.slept == [GRACE_SECONDS]


async def test_another_run_that_is_faster_is_not_repeated(world: World) -> None:
    """Both find the same jobs missing; together they publish each once."""
    photos = world.add_photos(5)
    other = InMemoryRepublisher(world.queue)
    reconcile = world.reconcile()
    run = attrs.evolve(reconcile, republisher=_After(other, world.image_refs))
    found = await run()
    assert (found.missing, found.published) == (5, 3)
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
    assert await world.reconcile()() == Reconciliation(photos=1, answered=1)
    assert world.clock.slept == []


async def test_photos_without_a_usable_reference_are_counted_and_left_alone(world: World) -> None:
    """They would be answered once and for all by `missing_image_ref` and `invalid_image_ref`."""
    unknown, empty, foreign, also_foreign, good = world.add_photos(5)
    world.image_refs |= {unknown: None, empty: "", foreign: "minio://private/a.jpg", also_foreign: "s3://images/a.jpg"}
    found = await world.reconcile()()
    assert (found.without_image_ref, found.invalid_image_ref, found.missing, found.published) == (2, 2, 1, 1)
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

    await attrs.evolve(world.reconcile(), republisher=Counting())()
    assert sizes == [6, 6, 6, 2]


async def test_progress_is_told_page_by_page(world: World) -> None:
    """How many of how many; photos that are inserted meanwhile do not make it more than all. It ends with all."""
    world.add_photos(4)
    told: list[tuple[int, int]] = []
    world.catalogue.meanwhile = lambda: world.database.add_photo(UUID(int=1000 + len(world.database.photos)))
    await attrs.evolve(world.reconcile(), page_size=4)(progress=lambda done, of: told.append((done, of)))
    assert told[0] == (4, 4)
    assert all(done <= of for done, of in told)
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("operation", ["estimate", "unanswered"])
async def test_without_a_database_it_ends(world: World, operation: str) -> None:
    """Another run will do it."""
    world.database.failing.add(operation)
    with pytest.raises(DatabaseUnavailableError):
        await world.reconcile()()


@pytest.mark.parametrize("what", ["among", "republish"])
async def test_without_a_broker_it_ends(world: World, what: str) -> None:
    """Another run will do the rest."""
    world.add_photos(1)
    world.queue.failing.add(what)
    with pytest.raises(MessagingUnavailableError):
        await world.reconcile()()

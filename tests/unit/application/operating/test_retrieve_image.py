"""The image that a job was about, for whoever asks why."""

from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest

from adapters.nats_jetstream.jobs.payload import JsonJobParser, encode_job
from application.operating.retrieve_image import NoImageError, Retrieved, RetrieveImage
from domain.errors import FacematchError, ImageNotFoundError, StorageUnavailableError
from domain.images import ImageRef, ImageRefPolicy, InvalidImageRefError
from domain.jobs import JobKey, MatchJob
from domain.outcomes import Reason
from domain.records import JobHeader, JobRecord, Skipped
from tests.fakes.job_archive import InMemoryJobArchive
from tests.fakes.photo_store import InMemoryPhotoStore
from tests.fakes.queue import InMemoryJobQueue

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PHOTO = UUID(int=1)


def record(key: JobKey, reason: Reason = Reason.NO_MATCH) -> JobRecord:
    """Return what became of a job."""
    return JobHeader(key, NOON, "model@1", "worker-1", PHOTO).record(Skipped(reason))


@attrs.frozen
class World:
    """A queue with its log, a store with one image, and the use case over both."""

    queue: InMemoryJobQueue
    photos: InMemoryPhotoStore
    retrieve: RetrieveImage


@pytest.fixture
def world() -> World:
    """Return them."""
    queue, photos = InMemoryJobQueue(), InMemoryPhotoStore()
    photos.put(ImageRef("images", "a.jpg"), b"an image")
    policy = ImageRefPolicy.of("images")
    retrieve = RetrieveImage(InMemoryJobArchive(queue), JsonJobParser(), photos, policy, max_bytes=100)
    return World(queue, photos, retrieve)


async def test_the_image_is_the_one_that_the_job_names(world: World) -> None:
    """It is read from the job itself, and fetched from the store."""
    key = world.queue.publish(encode_job(MatchJob(PHOTO, "minio://images/a.jpg")))
    assert await world.retrieve([record(key)]) == Retrieved(record(key), b"an image")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"no job", NoImageError),
        (encode_job(MatchJob(PHOTO)), NoImageError),
        (encode_job(MatchJob(PHOTO, "minio://private/a.jpg")), InvalidImageRefError),
        (encode_job(MatchJob(PHOTO, "b.jpg")), ImageNotFoundError),
    ],
)
async def test_an_image_that_cannot_be_had_is_told_why(world: World, body: bytes, error: type[FacematchError]) -> None:
    """The job names none, or one that this service may not fetch, or one that is not there."""
    with pytest.raises(error):
        await world.retrieve([record(world.queue.publish(body))])


async def test_a_job_that_is_not_kept_any_more_names_no_image(world: World) -> None:
    """Whatever has its number now."""
    world.queue.publish(encode_job(MatchJob(PHOTO, "a.jpg")))
    with pytest.raises(NoImageError, match="not kept"):
        await world.retrieve([record(JobKey(1, NOON))])


@pytest.mark.parametrize(
    "body", [b"no job", *(encode_job(MatchJob(PHOTO, ref)) for ref in (None, "minio://x/y", "gone"))]
)
async def test_a_job_without_an_image_hides_no_older_one(world: World, body: bytes) -> None:
    """The newest one that has an image is shown; where none has, the newest job of all says why."""
    older = record(world.queue.publish(encode_job(MatchJob(PHOTO, "a.jpg"))))
    newer = record(world.queue.publish(body))
    forgotten = record(JobKey(9, NOON))
    assert await world.retrieve([forgotten, newer, older]) == Retrieved(older, b"an image")
    with pytest.raises(NoImageError, match="not kept"):
        await world.retrieve([forgotten, newer])


async def test_a_job_that_only_found_a_match_tells_nothing(world: World) -> None:
    """The newest of the others is looked at; where there is none, it is."""
    older, newest, again = (
        record(world.queue.publish(encode_job(MatchJob(PHOTO, "a.jpg"))), reason)
        for reason in (Reason.NO_MATCH, Reason.NO_FACE, Reason.ALREADY_MATCHED)
    )
    assert (await world.retrieve([again, newest, older])).record == newest
    assert (await world.retrieve([again])).record == again


async def test_an_outage_is_no_missing_image(world: World) -> None:
    """A store that does not answer is told at once, whatever other jobs name."""
    keys = [world.queue.publish(encode_job(MatchJob(PHOTO, "a.jpg"))) for _ in range(2)]
    world.photos.available = False
    with pytest.raises(StorageUnavailableError):
        await world.retrieve([record(key) for key in keys])
    assert len(world.photos.fetched) == 1

"""The image that a job was about, for whoever asks why."""

from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest

from adapters.nats_jetstream.payload import JsonJobParser, encode_job
from application.retrieve_image import NoImageError, RetrieveImage, telling
from domain.errors import FacematchError, ImageNotFoundError
from domain.images import ImageRef, ImageRefPolicy, InvalidImageRefError
from domain.jobs import JobKey, MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord, Skipped
from tests.fakes.job_archive import InMemoryJobArchive
from tests.fakes.photo_store import InMemoryPhotoStore
from tests.fakes.queue import InMemoryJobQueue

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PHOTO = UUID(int=1)


def record(key: JobKey, reason: Reason = Reason.NO_MATCH) -> JobRecord:
    """Return what became of a job."""
    return JobRecord(key, Skipped(reason), NOON, "model@1", "worker-1", photo_id=PHOTO)


@attrs.frozen
class World:
    """A queue with its log, a store with one image, and the use case over both."""

    queue: InMemoryJobQueue
    retrieve: RetrieveImage


@pytest.fixture
def world() -> World:
    """Return them."""
    queue, photos = InMemoryJobQueue(), InMemoryPhotoStore()
    photos.put(ImageRef("images", "a.jpg"), b"an image")
    policy = ImageRefPolicy.of("images")
    retrieve = RetrieveImage(InMemoryJobArchive(queue), JsonJobParser(), photos, policy, max_bytes=100)
    return World(queue, retrieve)


async def test_the_image_is_the_one_that_the_job_names(world: World) -> None:
    """It is read from the job itself, and fetched from the store."""
    key = world.queue.publish(encode_job(MatchJob(PHOTO, "minio://images/a.jpg")))
    assert await world.retrieve(record(key)) == b"an image"


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
        await world.retrieve(record(world.queue.publish(body)))


async def test_a_job_that_is_not_kept_any_more_names_no_image(world: World) -> None:
    """Whatever has its number now."""
    world.queue.publish(encode_job(MatchJob(PHOTO, "a.jpg")))
    with pytest.raises(NoImageError, match="not kept"):
        await world.retrieve(record(JobKey(1, NOON)))


def test_a_job_that_only_found_a_match_tells_nothing() -> None:
    """The newest of the others is looked at; where there is none, the newest."""
    keys = [JobKey(sequence, NOON) for sequence in (3, 2, 1)]
    again, newest, older = (
        record(k, r) for k, r in zip(keys, (Reason.ALREADY_MATCHED, Reason.NO_FACE, Reason.NO_MATCH), strict=True)
    )
    assert telling([again, newest, older]) is newest
    assert telling([again]) is again

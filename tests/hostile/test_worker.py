"""The corpus as jobs of the real worker, from the object store to the recorded outcome."""

from uuid import UUID

from domain.errors import ImageTooLargeError, JobRejectedError, UnreadableImageError
from tests import processes
from tests.e2e.world import World, eventually
from tests.faulty_s3 import Exchange, FaultyS3, announce_half, cut_mid_body, pass_on
from tests.hostile.bombs import bombs, endless
from tests.hostile.cases import sample
from tests.hostile.corpus import SMALL
from tests.hostile.metadata import metadata

MEBIBYTE = 1024**2
REASONS: dict[type[JobRejectedError] | None, str] = {
    None: "no_face",
    UnreadableImageError: "unreadable_image",
    ImageTooLargeError: "image_too_large",
}
"""What a file's outcome is called; nobody is on any picture of the corpus."""
MOST_BYTES = 1_500_000
"""Of a file that is sent this way."""


async def outcomes(world: World, photos: dict[UUID, str]) -> dict[str, str]:
    """Return the reason of each job, by the name of its image, when all of them have one."""

    async def recorded() -> dict[UUID, str]:
        return dict(world.sql("SELECT photo_id, reason FROM facematch.outcomes"))

    reasons = await eventually(recorded, lambda found: len(found) == len(photos), "every outcome")
    await world.settled()
    return {photos[photo]: reason for photo, reason in reasons.items()}


async def published(world: World, keys: dict[str, str]) -> dict[UUID, str]:
    """Publish a job for each of these keys; return the photographs with the names of their images."""
    photos = {world.add_photo(): name for name in keys}
    for photo, name in photos.items():
        await world.publish({"photo_id": str(photo), "image_ref": keys[name]})
    return photos


async def test_every_file_is_one_outcome_of_the_worker(world: World) -> None:
    """None is retried or dead-lettered, no process is lost, and the worker neither grows nor logs foreign words."""
    files = {}
    for case in (*SMALL, *metadata(), *bombs(), next(endless())):
        content = case.make()
        if len(content) <= MOST_BYTES:
            files[case.name] = content, REASONS[case.error]
    keys = {name: world.put(f"{number}.jpg", content) for number, (name, (content, _)) in enumerate(files.items())}
    with world.worker() as worker:
        before = processes.resident(worker.process.pid)
        found = await outcomes(world, await published(world, keys))
        grown = processes.resident(worker.process.pid) - before
        metrics = worker.get("/metrics")[1]
        said = worker.log.read_text().splitlines()
    assert found == {name: reason for name, (_, reason) in files.items()}
    assert len(files) > 180
    assert await world.stored("PHOTO_FACES_DEAD") == []
    assert world.sql("SELECT count(*) FROM facematch.attempts") == [(0,)]
    assert "facematch_vision_restarts_total 0.0" in metrics
    assert grown < 64 * MEBIBYTE
    assert [line for line in said if not line.startswith("{")] == []


async def test_what_the_object_store_says_of_a_file_is_not_trusted(world: World) -> None:
    """Neither a wrong length, in either direction, nor a huge object does any harm, nor do they to others' jobs."""
    size = 110_000_000
    lies = {b"/images/cut": [cut_mid_body], b"/images/halved": [announce_half] * 9}

    def lie(exchange: Exchange) -> bool:
        waiting = lies.get(exchange.request.split(b" ", 2)[1])
        return (waiting.pop() if waiting else pass_on)(exchange)

    expected = {"cut": "no_face", "halved": "unreadable_image", "huge": "image_too_large", "good": "no_face"}
    for key in expected:
        world.put(key, sample("PNG") if key != "huge" else sample("PNG") + bytes(size))
    with FaultyS3(world.environment["FACEMATCH_S3_ENDPOINT"]) as proxy:
        proxy.standing = lie
        world.environment["FACEMATCH_S3_ENDPOINT"] = proxy.endpoint
        with world.worker() as worker:
            processes.forget_peak(worker.process.pid)
            before = processes.resident(worker.process.pid)
            found = await outcomes(world, await published(world, {key: key for key in expected}))
            peak = processes.peak(worker.process.pid)
    assert found in (expected, expected | {"halved": "no_face"})  # the rest may come in time to give the lie away
    assert peak - before < size / 2
    assert await world.stored("PHOTO_FACES_DEAD") == []

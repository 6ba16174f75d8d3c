"""A world whose jobs cost next to nothing, and whose servers are reached by ways that tests can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.provisioning import provision
from adapters.postgres.migrate import migrate
from domain.errors import MessagingUnavailableError
from infra.local_stack.s3 import S3Server
from tests.e2e.world import WorkerProcess, World, eventually, make_world

_TROUBLESOME = Path(__file__).parent.parent / "e2e" / "troublesome"
FEW_DELIVERIES = {
    "FACEMATCH_NATS_MAX_DELIVER": "2",
    "FACEMATCH_NATS_ACK_WAIT": "4",
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1",
}
LONGER_THAN_ALL_DELIVERIES = 6.0
"""Seconds: from when an outage is told, beyond what is left of two deliveries, their delay and the ack wait."""
_TRIES = 4
IMAGE = "fine"
ANNA = "[1, 4, 0.5]"
"""What the embedder of these tests makes of :data:`IMAGE`."""


@asynccontextmanager
async def scene(
    folder: Path, s3: S3Server, *, nats: str, database: str, settings: dict[str, str] | None = None
) -> AsyncIterator[World]:
    """Return a prepared world on these servers, with an image, and a user called Anna whom it shows."""
    environment = {
        "FACEMATCH_NATS_URL": nats,
        "FACEMATCH_S3_ENDPOINT": s3.endpoint,
        "FACEMATCH_S3_ACCESS_KEY": s3.access_key,
        "FACEMATCH_S3_SECRET_KEY": s3.secret_key,
        "FACEMATCH_S3_RETRY_BASE_SECONDS": "0.05",
        "FACEMATCH_DATABASE_URL": database,
        "FACEMATCH_LOG_FORMAT": "json",
        "FACEMATCH_EMBEDDER": "troublesome",
        "FACEMATCH_WORKER_PROCESSES": "1",
        "PYTHONPATH": str(_TROUBLESOME),
    }
    async with make_world(environment | (settings or {}), s3.client(), folder) as world:
        await migrate(database)
        await _provision(world)
        if not world.s3.bucket_exists("images"):
            world.s3.make_bucket("images")
        world.put(IMAGE, IMAGE.encode())
        world.sql(
            "UPDATE users SET face_embedding = %s::vector, face_embedding_model = 'troublesome@1' WHERE id = %s",
            ANNA,
            world.add_user(),
        )
        yield world


async def _provision(world: World) -> None:
    """Make the streams; servers that have just been started may still be electing who does that."""
    for tries_left in reversed(range(_TRIES)):
        try:
            await provision(
                world.client,
                BrokerNames(),
                ack_wait_seconds=float(world.environment.get("FACEMATCH_NATS_ACK_WAIT", "30")),
                replicas=int(world.environment.get("FACEMATCH_NATS_REPLICAS", "1")),
            )
        except MessagingUnavailableError:
            if tries_left == 0:
                raise
        else:
            return


async def publish(world: World, photos: list[UUID], image: str = IMAGE) -> None:
    """Publish a job for each photo."""
    for photo in photos:
        await world.publish({"photo_id": str(photo), "image_ref": image})


async def all_matched_once(world: World, photos: list[UUID]) -> None:
    """Wait for the end of every job, and see that each photo has what an undisturbed run gives it, once."""
    wanted = {str(photo) for photo in photos}

    async def matched() -> set[str]:
        return {event["photo_id"] for event in await world.events() if event["outcome"] == "matched"}

    await eventually(matched, lambda found: found >= wanted, "an event for each match")
    await world.settled()
    for query in (
        "SELECT photo_id FROM photo_faces",
        "SELECT photo_id FROM photo_faces f JOIN face_matches m ON m.photo_face_id = f.id",
        "SELECT photo_id FROM facematch.outcomes WHERE outcome = 'matched'",
    ):
        assert sorted(str(row[0]) for row in world.sql(query)) == sorted(wanted)
    ids = [message.headers["Nats-Msg-Id"] for message in await world.stored("PHOTO_FACES_RESULTS")]
    assert len(ids) == len(set(ids))
    assert await world.stored("PHOTO_FACES_DEAD") == []


def outages_told(worker: WorkerProcess, name: str) -> list[str]:
    """Return the actions of the log's lines about one dependency."""
    return [line["action"] for line in worker.lines() if line.get("dependency") == name]

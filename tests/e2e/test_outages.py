"""A dependency that is away for everyone: jobs wait in hand, nothing is dead-lettered, work goes on by itself."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from infra.local_stack.stack import LocalStack
from tests.e2e.world import World, eventually

_PATIENCE = {
    "FACEMATCH_NATS_MAX_DELIVER": "2",
    "FACEMATCH_NATS_ACK_WAIT": "4",
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1",
}
_LONGER_THAN_ALL_DELIVERIES = 6.0
"""Seconds: from when an outage is told, beyond what is left of two deliveries, their delay and the ack wait."""
_DOWN_AND_UP = ["dependency_down", "dependency_up"]


@pytest.fixture
def world(remembering_world: World) -> World:
    """Return a world in which photographs cost little."""
    return remembering_world


def _server(stack: LocalStack, name: str) -> Any:
    return {"object store": stack.s3, "database": stack.postgres, "message broker": stack.nats}[name]


def _patient(world: World, photographs: Any, count: int) -> list[UUID]:
    """Let jobs have few deliveries, and return photos of a cup of coffee."""
    world.environment |= _PATIENCE
    world.cli("provision")
    world.put("coffee.png", photographs.path("coffee").read_bytes())
    return world.add_photos(count)


async def _publish(world: World, photos: list[UUID]) -> None:
    for photo in photos:
        await world.publish({"photo_id": str(photo), "image_ref": "coffee.png"})


async def _end_without_a_face(world: World, photos: list[UUID]) -> None:
    for photo in photos:
        [event] = await world.outcome_of(photo)
        assert event["reason"] == "no_face"
    await world.settled()


@pytest.mark.parametrize("name", ["object store", "database"])
async def test_an_outage_costs_no_job(fragile: tuple[World, LocalStack], photographs: Any, name: str) -> None:
    """While it lasts ``/readyz`` names the dependency; afterwards every job ends as if nothing had been.

    A store that has answered its first probe may be too slow for the photographs, which is told as another outage.
    """
    world, stack = fragile
    photos = _patient(world, photographs, 8)
    with world.worker() as worker:
        _server(stack, name).kill()
        await _publish(world, photos)
        await eventually(worker.not_ready, lambda found: name in found, f"/readyz to name the {name}")
        await asyncio.sleep(_LONGER_THAN_ALL_DELIVERIES)
        assert worker.get("/livez")[0] == 200
        assert await world.stored("PHOTO_FACES_DEAD") == []
        _server(stack, name).start()
        await _end_without_a_face(world, photos)
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        actions = [line["action"] for line in worker.lines() if line.get("action", "").startswith("dependency")]
    assert actions in [_DOWN_AND_UP, (2 if name == "object store" else 1) * _DOWN_AND_UP]
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_restarts_during_an_outage_cost_no_job(fragile: tuple[World, LocalStack], photographs: Any) -> None:
    """However often workers are stopped meanwhile, each job has all its deliveries left when it is over."""
    world, stack = fragile
    photos = _patient(world, photographs, 4)
    stack.s3.kill()
    await _publish(world, photos)
    for number in range(4):
        with world.starting_worker() as worker:
            await eventually(
                worker.not_ready, lambda found: "object store" in found, "/readyz to name the object store"
            )
            assert worker.stop() == 0
            released = [line["delivery"] for line in worker.job_lines() if line["action"] == "released"]
        assert released == [number + 1] * len(photos)
    stack.s3.start()
    with world.worker():
        await _end_without_a_face(world, photos)
    assert await world.stored("PHOTO_FACES_DEAD") == []


_DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'no space left on device'; END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON facematch.outcomes FOR EACH ROW EXECUTE FUNCTION disk_full();
CREATE TRIGGER disk_full BEFORE INSERT ON facematch.attempts FOR EACH ROW EXECUTE FUNCTION disk_full();
"""


async def test_a_full_database_costs_no_job(world: World, photographs: Any) -> None:
    """Where everything can be read and nothing written, jobs are held, too, although every probe succeeds."""
    photos = _patient(world, photographs, 8)
    world.sql(_DISK_FULL)
    with world.worker() as worker:
        await _publish(world, photos)
        await asyncio.sleep(_LONGER_THAN_ALL_DELIVERIES)
        await eventually(worker.not_ready, lambda found: found.keys() == {"database"}, "/readyz to name the database")
        world.sql("DROP FUNCTION disk_full CASCADE")
        await _end_without_a_face(world, photos)
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_a_locked_table_costs_no_job(world: World, photographs: Any) -> None:
    """While a migration of the application keeps a table to itself jobs are held, and ``/readyz`` names the table."""
    photos = _patient(world, photographs, 4)
    with world.worker() as worker:
        with psycopg.connect(world.environment["FACEMATCH_DATABASE_URL"]) as application:
            application.execute("LOCK TABLE facematch.outcomes IN SHARE MODE")
            await _publish(world, photos)
            found = await eventually(worker.not_ready, lambda found: "database" in found, "/readyz to say no")
            assert "facematch.outcomes is locked" in found["database"]
            await asyncio.sleep(_LONGER_THAN_ALL_DELIVERIES)
        await _end_without_a_face(world, photos)
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_a_missing_stream_of_events_costs_no_job(fragile: tuple[World, LocalStack], photographs: Any) -> None:
    """Without it no job can be settled: that is an outage, told once, and over when the stream is back."""
    world, _ = fragile
    photos = _patient(world, photographs, 8)
    with world.worker() as worker:
        await world.js.delete_stream("PHOTO_FACES_RESULTS")
        await _publish(world, photos)
        await eventually(worker.not_ready, lambda found: "message broker" in found, "/readyz to name the broker")
        await asyncio.sleep(_LONGER_THAN_ALL_DELIVERIES)
        assert "message broker" in await worker.not_ready()
        world.cli("provision")
        await _end_without_a_face(world, photos)
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        actions = [line["action"] for line in worker.lines() if line.get("action", "").startswith("dependency")]
    assert actions == _DOWN_AND_UP
    assert await world.stored("PHOTO_FACES_DEAD") == []


async def test_a_restart_of_the_broker_costs_no_job(fragile: tuple[World, LocalStack], photographs: Any) -> None:
    """The worker reconnects by itself and takes the jobs that were stored before and after the restart."""
    world, stack = fragile
    world.put("coffee.png", photographs.path("coffee").read_bytes())
    before, after = world.add_photo(), world.add_photo()
    with world.worker() as worker:
        await world.publish({"photo_id": str(before), "image_ref": "coffee.png"})
        await world.outcome_of(before)
        stack.nats.kill()

        async def ready() -> int:
            return worker.get("/readyz")[0]

        await eventually(ready, lambda status: status == 503, "/readyz to say no")
        stack.nats.start()
        await eventually(ready, lambda status: status == 200, "/readyz to say yes")
        await world.publish({"photo_id": str(after), "image_ref": "coffee.png"})
        [event] = await world.outcome_of(after)
        assert event["reason"] == "no_face"
        assert worker.stop() == 0

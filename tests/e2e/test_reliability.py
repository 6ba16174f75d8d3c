"""Jobs are done once, whatever happens to deliveries, workers and events."""

import asyncio
from typing import Any

import pytest

from infra.local_stack.process import free_port
from tests.e2e.command import FACEMATCH
from tests.e2e.world import World, eventually


@pytest.fixture
def world(remembering_world: World) -> World:
    """Return a world in which photographs cost little."""
    return remembering_world


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
async def test_a_worker_whose_standard_streams_are_closed_works(world: World, photographs: Any, closed: str) -> None:
    """What it would log is lost, and no job; told to end it ends well."""
    photo = world.add_photo()
    world.put("obama.jpg", photographs.path("obama").read_bytes())
    await world.publish({"photo_id": str(photo), "image_ref": "obama.jpg"})
    environment = world.environment | {"FACEMATCH_HEALTH_ADDRESS": f"127.0.0.1:{free_port()}"}
    worker = await asyncio.create_subprocess_shell(f"exec {FACEMATCH} worker {closed}", env=environment)
    try:
        [event] = await world.outcome_of(photo)
    finally:
        worker.terminate()
        code = await worker.wait()
    assert code == 0
    assert event["reason"] == "no_enrolled_users"


async def test_ten_jobs_for_one_photo_on_three_workers_match_it_once(world: World, photographs: Any) -> None:
    """One job matches, nine find it matched; one face and one match are written."""
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    one_process = {"FACEMATCH_WORKER_PROCESSES": "1"}
    with world.worker(**one_process), world.worker(**one_process), world.worker(**one_process):
        await asyncio.gather(*(world.publish({"photo_id": str(photo), "image_ref": "obama2.jpg"}) for _ in range(10)))
        events = await world.outcome_of(photo, count=10)
        await world.settled()
    assert sorted(e["reason"] or "matched" for e in events) == ["already_matched"] * 9 + ["matched"]
    assert world.sql("SELECT count(*) FROM photo_faces") == [(1,)]
    assert world.sql("SELECT count(*) FROM face_matches") == [(1,)]


async def test_a_redelivery_repeats_the_recorded_outcome(world: World, photographs: Any) -> None:
    """A job whose acknowledgement was lost says the same again and changes nothing."""
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    with world.worker() as worker:
        await world.publish({"photo_id": str(photo), "image_ref": "obama2.jpg"})
        await world.outcome_of(photo)
        await world.settled()
        rows = world.sql("SELECT * FROM face_matches"), world.sql("SELECT id FROM photo_faces")
        assert worker.stop() == 0
    await world.js.delete_consumer("PHOTO_FACES", "single-face-match")
    world.cli("provision")
    with world.worker() as worker:
        await world.settled()
        await eventually(
            _job_lines(worker), lambda lines: any(line["outcome"] == "matched" for line in lines), "the repetition"
        )
    assert rows == (world.sql("SELECT * FROM face_matches"), world.sql("SELECT id FROM photo_faces"))
    assert {e["outcome"] for e in await world.outcome_of(photo)} == {"matched"}


def _job_lines(worker: Any) -> Any:
    async def look() -> list[dict[str, Any]]:
        return [line for line in worker.lines() if line.get("event") == "job"]

    return look


def _unmarked(world: World) -> Any:
    async def count() -> int:
        number: int = world.sql("SELECT count(*) FROM facematch.outcomes WHERE published_at IS NULL")[0][0]
        return number

    return count


async def test_an_event_left_behind_by_a_dead_worker_is_published(world: World, photographs: Any) -> None:
    """A record that was committed but not published is published by any live worker."""
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("obama2.jpg", photographs.path("obama2").read_bytes())
    with world.worker():
        await world.publish({"photo_id": str(photo), "image_ref": "obama2.jpg"})
        await world.outcome_of(photo)
        await eventually(_unmarked(world), lambda count: count == 0, "the event to be marked as published")
        await world.js.delete_stream("PHOTO_FACES_RESULTS")
        world.cli("provision")
        world.sql("UPDATE facematch.outcomes SET published_at = NULL")
        async with asyncio.timeout(15):
            [event] = await world.outcome_of(photo)
    assert event["outcome"] == "matched"


async def test_a_stopping_worker_settles_its_jobs_and_exits_with_zero(world: World, photographs: Any) -> None:
    """SIGTERM under load loses nothing: what the first worker leaves, the second does."""
    world.put("coffee.png", photographs.path("coffee").read_bytes())
    photos = world.add_photos(30)
    with world.worker() as first:
        for photo in photos:
            await world.publish({"photo_id": str(photo), "image_ref": "coffee.png"})
        await world.outcome_of(photos[0])
        assert first.stop() == 0
    assert first.lines()[-1]["action"] == "stopped"
    with world.worker():
        for photo in photos:
            await world.outcome_of(photo)
        await world.settled()
    assert world.sql("SELECT count(*) FROM facematch.outcomes WHERE reason = 'no_face'") == [(30,)]
    assert await world.stored("PHOTO_FACES_DEAD") == []

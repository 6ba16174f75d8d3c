"""A broker that has no room, or lost what it was given, or delivers nothing: told, waited for, and no job lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import nats.js.errors
import pytest
import pytest_asyncio
from nats.js.api import DiscardPolicy

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from domain.errors import MessagingUnavailableError
from infra.local_stack.nats import NatsServer
from infra.local_stack.s3 import S3Server
from tests.broker import ACK_WAIT, connected, provisioned
from tests.e2e.world import WorkerProcess, World, eventually
from tests.faults.scene import (
    FEW_DELIVERIES,
    LONGER_THAN_ALL_DELIVERIES,
    all_matched_once,
    outages_told,
    publish,
    scene,
)
from tests.processes import cpu_seconds

_BUSY = 0.5


@pytest_asyncio.fixture
async def small(tmp_path: Path, s3_server: S3Server, database_url: str) -> AsyncIterator[World]:
    """Return a world with few deliveries, on a broker that has room for two megabytes."""
    broker = NatsServer(tmp_path / "nats", file_store="2MB")
    broker.start()
    try:
        async with scene(tmp_path, s3_server, nats=broker.url, database=database_url, settings=FEW_DELIVERIES) as world:
            yield world
    finally:
        broker.stop()


async def _fill(world: World) -> None:
    """Let somebody else's stream take all the room that the server has."""
    await world.js.add_stream(name="FOREIGN", subjects=["foreign"])
    for size in (100_000, 1_000):
        with pytest.raises(nats.js.errors.ServiceUnavailableError, match="insufficient resources"):
            await _publish_for_ever(world, size)


async def _publish_for_ever(world: World, size: int) -> None:
    while True:
        await world.js.publish("foreign", bytes(size))


async def _limit(world: World, stream: str, max_bytes: int) -> None:
    """Let a stream refuse what is more than these bytes; -1 is no limit."""
    config = (await world.js.stream_info(stream)).config
    await world.js.update_stream(config.evolve(max_bytes=max_bytes, discard=DiscardPolicy.NEW))


async def _goes_on(world: World, worker: WorkerProcess, photos: list[UUID]) -> None:
    """See that other jobs end while one cannot, and that the worker stays ready however often that one comes back."""
    for photo in photos:
        [event] = await world.outcome_of(photo)
        assert event["outcome"] == "matched"
    await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
    assert worker.get("/readyz")[0] == 200


async def test_a_full_store_costs_no_job(small: World) -> None:
    """No event can be stored: jobs wait, ``/readyz`` says why, nothing is in a hurry, and room is used at once."""
    photos = small.add_photos(12)
    await publish(small, photos)
    await _fill(small)
    with small.starting_worker() as worker:
        found = await eventually(
            worker.not_ready, lambda found: "message broker" in found, "/readyz to name the broker"
        )
        assert found["message broker"] == "NATS, publish photo_faces.single.matched: insufficient resources"
        used = cpu_seconds(worker.process.pid)
        await asyncio.sleep(LONGER_THAN_ALL_DELIVERIES)
        assert cpu_seconds(worker.process.pid) - used < _BUSY * LONGER_THAN_ALL_DELIVERIES
        assert worker.get("/livez")[0] == 200
        assert "message broker" in await worker.not_ready()
        await small.js.delete_stream("FOREIGN")
        await all_matched_once(small, photos)
        await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
        assert outages_told(worker, "message broker") == ["dependency_down", "dependency_up"]


async def test_a_dead_letter_without_room_waits_for_it(small: World) -> None:
    """Its job is not ended, however often it comes back; the others go on; with room it is stored once."""
    photos = small.add_photos(6)
    with small.worker() as worker:
        await _limit(small, "PHOTO_FACES_DEAD", 1)
        await small.publish(b"no job at all")
        await publish(small, photos)
        await _goes_on(small, worker, photos)
        [told] = [line["detail"] for line in worker.lines() if line.get("action") == "dependency_down"]
        assert told == "NATS, publish photo_faces.single.dead: maximum bytes exceeded"
        assert await small.stored("PHOTO_FACES_DEAD") == []
        await _limit(small, "PHOTO_FACES_DEAD", -1)
        await small.settled()
        assert outages_told(worker, "message broker") == ["dependency_down", "dependency_up"]
    [letter] = await small.stored("PHOTO_FACES_DEAD")
    assert (letter.data, letter.headers["Facematch-Reason"]) == (b"no job at all", "malformed_payload")
    [event] = await small.outcome_of(None)
    assert event["reason"] == "malformed_payload"


async def test_a_kind_of_event_that_no_stream_takes_keeps_no_worker_from_other_jobs(small: World) -> None:
    """The worker is ready and does them, and tells how long the event has waited; its job is settled later."""
    photos = small.add_photos(6)
    config = (await small.js.stream_info("PHOTO_FACES_RESULTS")).config
    with small.worker() as worker:
        await small.js.update_stream(config.evolve(subjects=["photo_faces.single.matched"]))
        await small.publish(b"no job at all")
        await publish(small, photos)
        await _goes_on(small, worker, photos)
        shown = dict(line.rsplit(" ", 1) for line in worker.get("/metrics")[1].splitlines())
        assert shown["facematch_worker_ready"] == "1.0"
        assert not any(name.startswith("facematch_worker_not_ready") for name in shown)
        assert float(shown["facematch_events_oldest_age_seconds"]) > LONGER_THAN_ALL_DELIVERIES / 2
        assert outages_told(worker, "message broker") == ["dependency_down"]
        await small.js.update_stream(config)
        await small.settled()
        assert outages_told(worker, "message broker") == ["dependency_down", "dependency_up"]
    [event] = await small.outcome_of(None)
    assert event["reason"] == "malformed_payload"


_MISSED = {
    "consumer": "there is no consumer single-face-match on stream PHOTO_FACES: run `facematch provision`",
    "stream": "no stream holds the subject photo_faces.single.requested: run `facematch provision`",
}


async def _delete(world: World, what: str) -> None:
    if what == "consumer":
        await world.js.delete_consumer("PHOTO_FACES", "single-face-match")
    else:
        await world.js.delete_stream("PHOTO_FACES")


async def test_what_is_deleted_under_a_worker_is_told_once(small: World) -> None:
    """On ``/readyz`` and in the log, with what to do; once that is done the same worker goes on."""
    done = small.add_photos(4)
    with small.worker() as worker:
        await publish(small, done)
        await all_matched_once(small, done)
        for what, expected in _MISSED.items():
            await _delete(small, what)
            found = await eventually(
                worker.not_ready, lambda found: "message broker" in found, "/readyz to name the broker"
            )
            assert found["message broker"].endswith(expected)
            used = cpu_seconds(worker.process.pid)
            await asyncio.sleep(2)
            assert cpu_seconds(worker.process.pid) - used < _BUSY * 2
            assert worker.get("/livez")[0] == 200
            small.cli("provision")
            later = small.add_photos(4)
            done += later
            await publish(small, later)
            await all_matched_once(small, done)
            await eventually(worker.not_ready, lambda found: not found, "/readyz to say yes")
            details = [line["detail"] for line in worker.lines() if line.get("action") == "dependency_down"]
            assert details[-1].endswith(expected)
        assert outages_told(worker, "message broker") == ["dependency_down", "dependency_up"] * 2


async def test_jobs_that_nobody_is_given_are_told(nats_server: NatsServer) -> None:
    """Fetches are answered, jobs wait, and none is delivered: that is said as long as it lasts."""
    async with connected(nats_server) as client:
        names, js = await provisioned(client), client.jetstream()
        queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT, look_seconds=0.3)
        await js.pause_consumer(names.stream, names.durable, "2099-01-01T00:00:00Z")
        assert list(await queue.fetch(1, timeout_seconds=0.1)) == []
        await js.publish(names.subject, b"a job")

        async def fetched() -> object:
            try:
                return list(await queue.fetch(1, timeout_seconds=0.1))
            except MessagingUnavailableError as error:
                return str(error)

        told = "NATS, fetch: 1 jobs wait, and the consumer is paused"
        await eventually(fetched, lambda found: found == told, "the stall to be told")
        await eventually(fetched, lambda found: found == told, "the stall to be told again")
        await js.resume_consumer(names.stream, names.durable)
        [delivery] = await queue.fetch(1, timeout_seconds=5)
        assert delivery.body == b"a job"

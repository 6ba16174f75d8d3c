"""What is JetStream's own about looking for jobs in flight and publishing lost ones."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from nats.aio.client import Client

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.jobs.jobs_in_flight import JetStreamJobsInFlight
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.republisher import JetStreamRepublisher
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob
from infra.local_stack.nats import NatsServer
from tests.broker import connected, own_names, provisioned, running

PHOTO = UUID(int=7 << 64)


@pytest_asyncio.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Return a connection to the shared server."""
    async with connected(nats_server) as client:
        yield client


async def submit(client: Client, names: BrokerNames, *photos: UUID) -> None:
    """Publish a job for each photo."""
    for photo in photos:
        await client.jetstream().publish(names.subject, json.dumps({"photo_id": str(photo)}).encode())


async def beginning(client: Client, names: BrokerNames) -> JetStreamJobsInFlight:
    """Return one who has taken the first look."""
    in_flight = JetStreamJobsInFlight(client, names)
    await in_flight.begin()
    return in_flight


async def readers(client: Client, names: BrokerNames) -> list[str]:
    """Return the consumers of the jobs' stream that are not the service's."""
    infos = await client.jetstream().consumers_info(names.stream)
    return [info.name for info in infos if info.name != names.durable]


async def test_the_service_s_consumer_is_not_touched(client: Client) -> None:
    """Looking delivers nothing to anybody else and leaves one consumer behind, which the server forgets."""
    names = await provisioned(client)
    await submit(client, names, PHOTO)
    before = await client.jetstream().consumer_info(names.stream, names.durable)
    in_flight = await beginning(client, names)
    for _ in range(3):
        assert (await in_flight.among([PHOTO])).photos == {PHOTO}
    after = await client.jetstream().consumer_info(names.stream, names.durable)
    assert (after.delivered, after.num_pending, after.num_waiting) == (before.delivered, 1, 0)
    [reader] = await readers(client, names)
    config = (await client.jetstream().consumer_info(names.stream, reader)).config
    assert (config.durable_name, config.mem_storage, config.inactive_threshold) == (None, True, 300)


async def test_a_reader_that_the_server_has_forgotten_is_made_anew(client: Client) -> None:
    """And goes on where the other one was; what was read before is still known."""
    names = await provisioned(client)
    first, second = uuid4(), uuid4()
    await submit(client, names, first)
    in_flight = await beginning(client, names)
    assert (await in_flight.among([first, second])).photos == {first}
    [reader] = await readers(client, names)
    await client.jetstream().delete_consumer(names.stream, reader)
    await submit(client, names, second)
    assert (await in_flight.among([first, second])).photos == {first, second}


async def test_it_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    """The reader lives in the server's memory and is gone; nothing of the stream is missed."""
    async with running(tmp_path) as server:
        client = await connect(ConnectionOptions((server.url,)))
        try:
            names = await provisioned(client)
            await submit(client, names, PHOTO)
            in_flight = await beginning(client, names)
            server.kill()
            server.start()
            other = uuid4()
            async with connected(server) as application:
                await submit(application, names, other)
            await client.flush(timeout=30)
            assert (await in_flight.among([PHOTO, other])).photos == {PHOTO, other}
        finally:
            await disconnect(client)


async def test_large_bodies_come_in_smaller_batches(client: Client) -> None:
    """Bodies as large as the server allows are passed over, and none that comes after them is missed."""
    names = await provisioned(client)
    for _ in range(40):
        await client.jetstream().publish(names.subject, b"x" * 1_000_000)
    await submit(client, names, PHOTO)
    assert (await (await beginning(client, names)).among([PHOTO])).photos == {PHOTO}


async def test_other_subjects_of_the_stream_are_not_looked_at(client: Client) -> None:
    """A stream of the application's may hold more than jobs."""
    names = own_names()
    await client.jetstream().add_stream(name=f"APP_{uuid4().hex[:8]}", subjects=[names.subject, f"{names.subject}.x"])
    await provisioned(client, names)
    await client.jetstream().publish(f"{names.subject}.x", json.dumps({"photo_id": str(PHOTO)}).encode())
    flight = await (await beginning(client, names)).among([PHOTO])
    assert (flight.photos, flight.position) == (frozenset(), 1)


@pytest.mark.parametrize("gone", ["stream", "consumer"])
async def test_what_is_not_provisioned_is_told(client: Client, gone: str) -> None:
    """Without the service's consumer nobody knows what is in flight."""
    names = own_names()
    if gone == "consumer":
        await client.jetstream().add_stream(name=names.stream, subjects=[names.subject])
    with pytest.raises(MessagingUnavailableError, match="run `facematch provision`"):
        await beginning(client, names)


@pytest.mark.parametrize("how", ["purged", "deleted"])
async def test_a_job_that_was_taken_out_of_the_stream_is_published_again(client: Client, how: str) -> None:
    """The stream remembers its id for hours; that is no reason to go without."""
    names = await provisioned(client)
    republisher = JetStreamRepublisher(client, names)
    assert await republisher.publish([MatchJob(PHOTO)], unless_after=0) == 1
    if how == "purged":
        await client.jetstream().purge_stream(names.stream)
    else:
        await client.jetstream().delete_msg(names.stream, 1)
    flight = await (await beginning(client, names)).among([PHOTO])
    assert (flight.photos, flight.position) == (frozenset(), 1)
    assert await republisher.publish([MatchJob(PHOTO)], unless_after=flight.position) == 1
    assert (await (await beginning(client, names)).among([PHOTO])).photos == {PHOTO}

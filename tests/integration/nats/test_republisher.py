"""Publishing many jobs: in batches or one by one, into full streams, and into a cluster."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, PubAck

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.jobs.jobs_in_flight import JetStreamJobsInFlight
from adapters.nats_jetstream.jobs.payload import JsonJobParser
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.provisioning import provision
from adapters.nats_jetstream.publishing.batches import MOST_MESSAGES, publish_batch
from adapters.nats_jetstream.publishing.republisher import JetStreamRepublisher
from domain.errors import MessagingUnavailableError
from domain.jobs import MalformedJob, MatchJob
from infra.local_stack.nats_cluster import NatsCluster
from tests.broker import own_names, provisioned, stored
from tests.e2e.world import eventually


def jobs(count: int) -> list[MatchJob]:
    """Return so many jobs, each for another photo."""
    return [MatchJob(uuid4(), "a.jpg") for _ in range(count)]


async def in_the_stream(client: Client, names: BrokerNames) -> list[MatchJob | MalformedJob]:
    """Return every job that the stream holds."""
    return [JsonJobParser().parse(message.data or b"") for message in await stored(client, names.stream)]


async def test_many_jobs_are_stored_in_batches(client: Client) -> None:
    """Each with the id by which the stream knows it, in their order, also where the last batch is of one job."""
    names, wanted = await provisioned(client), jobs(2 * MOST_MESSAGES + 1)
    assert await JetStreamRepublisher(client, names).publish(wanted, unless_after=0) == len(wanted)
    messages = await stored(client, names.stream)
    assert [JsonJobParser().parse(message.data or b"") for message in messages] == wanted
    headers = [message.headers or {} for message in messages]
    assert [each["Nats-Msg-Id"] for each in headers] == [f"facematch-again-{job.photo_id}" for job in wanted]
    assert len({each["Nats-Batch-Id"] for each in headers}) == 3


async def test_a_job_that_is_known_keeps_no_other_back(client: Client) -> None:
    """A batch is stored as a whole or not at all; what it was refused for is left out, and the rest stored."""
    names, wanted = await provisioned(client), jobs(10)
    republisher = JetStreamRepublisher(client, names)
    assert await republisher.publish(wanted[4:6], unless_after=0) == 2
    assert await republisher.publish(wanted, unless_after=0) == 8
    assert sorted(map(str, await in_the_stream(client, names))) == sorted(map(str, wanted))


async def test_a_stream_that_takes_no_batches_gets_single_jobs(client: Client) -> None:
    """Such as one of the application's own; of two at once each job is stored once there, too."""
    names, wanted = own_names(), jobs(300)
    await client.jetstream().add_stream(name=names.stream, subjects=[names.subject])
    one, other = JetStreamRepublisher(client, names), JetStreamRepublisher(client, names)
    published = await asyncio.gather(one.publish(wanted, unless_after=0), other.publish(wanted, unless_after=0))
    assert sum(published) == 300
    assert sorted(map(str, await in_the_stream(client, names))) == sorted(map(str, wanted))


async def test_a_full_stream_is_told_and_filled_later(client: Client) -> None:
    """What fits is stored, the error has the server's words, and the rest is stored once there is room."""
    names, wanted = await provisioned(client), jobs(10)
    js, republisher = client.jetstream(), JetStreamRepublisher(client, names)
    config = (await js.stream_info(names.stream)).config
    await js.update_stream(config.evolve(max_msgs=4, discard=DiscardPolicy.NEW))
    with pytest.raises(MessagingUnavailableError, match="maximum messages exceeded"):
        await republisher.publish(wanted, unless_after=0)
    assert len(await in_the_stream(client, names)) == 4
    await js.update_stream(config)
    assert await republisher.publish(wanted, unless_after=0) == 6
    assert sorted(map(str, await in_the_stream(client, names))) == sorted(map(str, wanted))


async def test_while_nobody_stores_it_is_tried_again(client: Client) -> None:
    """A cluster without a leader answers as one without the stream, for some seconds."""
    names, first, others = await provisioned(client), jobs(1), jobs(300)
    js, republisher = client.jetstream(), JetStreamRepublisher(client, names)
    impatient = JetStreamRepublisher(client, names, patience_seconds=0)
    assert await republisher.publish(first, unless_after=0) == 1
    assert await impatient.publish(first, unless_after=0) == 0
    config = (await js.stream_info(names.stream)).config
    await js.delete_stream(names.stream)
    with pytest.raises(MessagingUnavailableError, match="it has no leader now"):
        await impatient.publish(others, unless_after=0)
    publishing = asyncio.create_task(republisher.publish(others, unless_after=0))
    await asyncio.wait({publishing}, timeout=0.3)
    assert not publishing.done()
    await js.add_stream(config)
    assert await publishing == 300
    assert sorted(map(str, await in_the_stream(client, names))) == sorted(map(str, others))


class Unheard(JetStreamRepublisher):
    """Hears no first answer to any single job, which is stored all the same."""

    def __init__(self, client: Client, names: BrokerNames) -> None:
        super().__init__(client, names)
        self._sent: set[bytes] = set()

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str], **options: Any) -> PubAck:
        ack = await super()._publish(subject, body, headers, **options)
        if body in self._sent:
            return ack
        self._sent.add(body)
        raise MessagingUnavailableError("no answer")


@pytest.mark.parametrize("in_batches", [True, False])
async def test_what_was_stored_without_an_answer_counts_as_published(
    client: Client, monkeypatch: pytest.MonkeyPatch, *, in_batches: bool
) -> None:
    """Whoever led has died after storing it: each job is stored once, and none is told as somebody else's."""

    async def unheard(*arguments: Any) -> None:
        await publish_batch(*arguments)
        raise MessagingUnavailableError("no answer")

    monkeypatch.setattr("adapters.nats_jetstream.publishing.republisher.publish_batch", unheard)
    names, wanted = own_names(), jobs(50)
    await client.jetstream().add_stream(name=names.stream, subjects=[names.subject], allow_atomic=in_batches)
    republisher = (JetStreamRepublisher if in_batches else Unheard)(client, names)
    assert await republisher.publish(wanted, unless_after=0) == len(wanted)
    assert sorted(map(str, await in_the_stream(client, names))) == sorted(map(str, wanted))


@pytest_asyncio.fixture
async def clients(tmp_path: Path) -> AsyncIterator[list[Client]]:
    """Return a connection to each server of a cluster."""
    cluster = NatsCluster(tmp_path)

    async def healthy() -> bool:
        return cluster.healthy

    async with AsyncExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        await eventually(healthy, bool, "a cluster")
        clients = []
        for url in cluster.urls:
            clients.append(await connect(ConnectionOptions((url,)), timeout_seconds=20))
            stack.push_async_callback(disconnect, clients[-1])
        yield clients


async def test_of_three_at_once_each_job_is_stored_once(clients: list[Client]) -> None:
    """Also where a server refuses a message because another one of its id is being stored at this moment.

    And who looks then sees all of them, on whichever server it reads.
    """
    names = own_names()
    await provision(clients[0], names, ack_wait_seconds=30, replicas=3)
    jobs = [MatchJob(uuid4(), "a.jpg") for _ in range(500)]
    republishers = [JetStreamRepublisher(client, names) for client in clients]
    published = await asyncio.gather(*(each.publish(jobs, unless_after=0) for each in republishers))
    state = (await clients[0].jetstream().stream_info(names.stream)).state
    assert (sum(published), state.messages) == (500, 500)
    photos = frozenset(job.photo_id for job in jobs)
    for client in clients:
        in_flight = JetStreamJobsInFlight(client, names)
        await in_flight.begin()
        assert (await in_flight.among(photos)).photos == photos

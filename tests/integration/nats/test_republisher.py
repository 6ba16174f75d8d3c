"""Publishing lost jobs into a cluster, where several servers decide together what is stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from nats.aio.client import Client

from adapters.nats_jetstream.connection import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.jobs_in_flight import JetStreamJobsInFlight
from adapters.nats_jetstream.provisioning import provision
from adapters.nats_jetstream.publisher import JetStreamRepublisher
from domain.jobs import MatchJob
from infra.local_stack.nats_cluster import NatsCluster
from tests.broker import own_names
from tests.e2e.world import eventually


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
    await provision(clients[0].jetstream(timeout=20), names, ack_wait_seconds=30, replicas=3)
    jobs = [MatchJob(uuid4(), "a.jpg") for _ in range(500)]
    republishers = [JetStreamRepublisher(client, names) for client in clients]
    published = await asyncio.gather(*(each.publish(jobs, unless_after=0) for each in republishers))
    state = (await clients[0].jetstream().stream_info(names.stream)).state
    assert (sum(published), state.messages) == (500, 500)
    photos = frozenset(job.photo_id for job in jobs)
    for client in clients:
        assert (await JetStreamJobsInFlight(client, names).among(photos)).photos == photos

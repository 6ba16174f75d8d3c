"""Ways for tests to have streams of their own on a real NATS server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
from nats.aio.client import Client
from nats.js.api import RawStreamMsg

from adapters.nats_jetstream.connection.connecting import ConnectionOptions, connect, disconnect
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.provisioning import provision
from infra.local_stack.nats import NatsServer

ACK_WAIT = 1.2
"""Seconds after which the consumer delivers again what shows no sign of life."""


@attrs.frozen
class OwnBroker:
    """A broker of one test's own, provisioned, and a connection to it."""

    server: NatsServer
    client: Client
    names: BrokerNames


def own_names() -> BrokerNames:
    """Return names that no other test uses."""
    token = uuid4().hex[:8]
    return BrokerNames(
        stream=f"JOBS_{token}",
        subject=f"jobs.{token}.requested",
        durable=f"worker-{token}",
        results_stream=f"RESULTS_{token}",
        dead_stream=f"DEAD_{token}",
        results_prefix=f"results.{token}",
    )


@asynccontextmanager
async def connected(server: NatsServer, **options: Any) -> AsyncIterator[Client]:
    """Connect as the service does, until the block ends."""
    client = await connect(ConnectionOptions((server.url,), **options))
    try:
        yield client
    finally:
        await disconnect(client)


@asynccontextmanager
async def running(folder: Path, extra: str = "") -> AsyncIterator[NatsServer]:
    """Run a server that only this test uses, and may kill."""
    server = NatsServer(folder / "nats", extra=extra)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def provisioned(
    client: Client, names: BrokerNames | None = None, ack_wait_seconds: float = ACK_WAIT
) -> BrokerNames:
    """Make streams and consumer, and return their names."""
    names = names or own_names()
    await provision(client, names, ack_wait_seconds=ack_wait_seconds)
    return names


async def stored(client: Client, stream: str) -> list[RawStreamMsg]:
    """Return every message of a stream, oldest first."""
    js = client.jetstream()
    state = (await js.stream_info(stream)).state
    return [await js.get_msg(stream, seq) for seq in range(state.first_seq, state.last_seq + 1)]

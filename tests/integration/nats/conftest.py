"""A connection to the shared server, with streams and a consumer of the test's own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext

from adapters.nats_jetstream.names import BrokerNames
from infra.local_stack.nats import NatsServer
from tests.broker import connected, own_names


@pytest_asyncio.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Return a connection."""
    async with connected(nats_server) as client:
        yield client


@pytest.fixture
def js(client: Client) -> JetStreamContext:
    """Return JetStream."""
    return client.jetstream()


@pytest.fixture
def names() -> BrokerNames:
    """Return names that nobody else uses; nothing is there yet."""
    return own_names()

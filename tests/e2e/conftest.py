"""One world for each end-to-end test: its own broker and database, and a bucket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from infra.local_stack.nats import NatsServer
from infra.local_stack.stack import LocalStack
from tests.e2e.embedders import remembering
from tests.e2e.world import World, make_world

_QUICK = {
    "FACEMATCH_S3_RETRY_BASE_SECONDS": "0.05",
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.2",
    "FACEMATCH_LOG_FORMAT": "json",
    "FACEMATCH_WORKER_PROCESSES": "1",
}


@pytest_asyncio.fixture
async def bare_world(tmp_path: Path, s3_server: Any, database_url: str) -> AsyncIterator[World]:
    """Return a world with an empty database and an empty broker."""
    broker = NatsServer(tmp_path / "nats")
    broker.start()
    try:
        environment = {
            "FACEMATCH_NATS_URL": broker.url,
            "FACEMATCH_S3_ENDPOINT": s3_server.endpoint,
            "FACEMATCH_S3_ACCESS_KEY": s3_server.access_key,
            "FACEMATCH_S3_SECRET_KEY": s3_server.secret_key,
            "FACEMATCH_DATABASE_URL": database_url,
        }
        async with make_world(environment | _QUICK, s3_server.client(), tmp_path) as world:
            yield world
    finally:
        broker.stop()


@pytest_asyncio.fixture
async def imageless_world(bare_world: World) -> World:
    """Return a provisioned, migrated world without a bucket, for where no photograph is looked at."""
    bare_world.cli("migrate")
    bare_world.cli("provision")
    return bare_world


@pytest_asyncio.fixture
async def world(bare_world: World) -> World:
    """Return a provisioned, migrated world without users and photos."""
    bare_world.prepare()
    return bare_world


@pytest_asyncio.fixture
async def remembering_world(bare_world: World, servers_folder: Path) -> World:
    """Return a world as ``world`` is, whose workers look at each photograph once: for where it is not about what."""
    bare_world.environment |= remembering(servers_folder)
    bare_world.prepare()
    return bare_world


@pytest_asyncio.fixture
async def fragile(tmp_path: Path, servers_folder: Path) -> AsyncIterator[tuple[World, LocalStack]]:
    """Return a world as ``remembering_world`` is, on servers of its own, to be stopped and started again."""
    with LocalStack(durable=False) as stack:
        stack.postgres.create_database("app")
        environment = stack.environment("app") | _QUICK | remembering(servers_folder)
        async with make_world(environment, stack.s3.client(), tmp_path) as world:
            world.prepare()
            yield world, stack

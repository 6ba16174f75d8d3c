"""One world for each end-to-end test: its own broker and database, and a bucket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from infra.local_stack.nats import NatsServer
from tests.e2e.world import World, make_world


@pytest_asyncio.fixture
async def world(tmp_path: Path, s3_server: Any, database_url: str) -> AsyncIterator[World]:
    """Return a provisioned, migrated world without users and photos."""
    broker = NatsServer(tmp_path / "nats")
    broker.start()
    try:
        environment = {
            "FACEMATCH_NATS_URL": broker.url,
            "FACEMATCH_S3_ENDPOINT": s3_server.endpoint,
            "FACEMATCH_S3_ACCESS_KEY": s3_server.access_key,
            "FACEMATCH_S3_SECRET_KEY": s3_server.secret_key,
            "FACEMATCH_S3_RETRY_BASE_SECONDS": "0.05",
            "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.2",
            "FACEMATCH_DATABASE_URL": database_url,
            "FACEMATCH_LOG_FORMAT": "json",
        }
        store = s3_server.client()
        if not store.bucket_exists("images"):
            store.make_bucket("images")
        async with make_world(environment, store, tmp_path) as world:
            world.cli("migrate")
            world.cli("provision")
            yield world
    finally:
        broker.stop()

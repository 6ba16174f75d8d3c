"""A real S3 server behind a proxy that misbehaves when told to."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
import pytest_asyncio

from adapters.object_store.store import ObjectStoreDependency, S3PhotoStore, StoreOptions
from domain.images import ImageRef
from infra.local_stack.s3 import S3Server
from tests.faulty_s3 import FaultyS3

CONTENT = bytes(range(256)) * 400
CERTIFICATE = Path(__file__).parent / "loopback.pem"
"""Key and certificate of 127.0.0.1, self-signed, for tests only."""


@pytest.fixture
def photo(s3_server: S3Server) -> ImageRef:
    """Return where :data:`CONTENT` is stored."""
    client, ref = s3_server.client(), ImageRef("faults", "photo.jpg")
    if not client.bucket_exists(ref.bucket):
        client.make_bucket(ref.bucket)
        client.put_object(ref.bucket, ref.key, io.BytesIO(CONTENT), len(CONTENT))
    return ref


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyS3]:
    """Return a proxy that passes everything on until it is told otherwise."""
    with FaultyS3(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def options(s3_server: S3Server, proxy: FaultyS3) -> StoreOptions:
    """Return how to reach the proxy, with times that no busy machine needs."""
    return StoreOptions(
        proxy.endpoint,
        s3_server.access_key,
        s3_server.secret_key,
        connections=2,
        connect_seconds=30.0,
        read_seconds=30.0,
        deadline_seconds=60.0,
    )


Closable = TypeVar("Closable", S3PhotoStore, ObjectStoreDependency)


class Closing(AsyncExitStack):
    """Closes, when the test is over, what it is called with."""

    def __call__(self, subject: Closable) -> Closable:
        """Return what is to be closed."""
        self.push_async_callback(subject.close)
        return subject


@pytest_asyncio.fixture
async def closing() -> AsyncIterator[Closing]:
    """Return what a test hands its stores to."""
    async with Closing() as closing:
        yield closing


@pytest_asyncio.fixture
async def store(options: StoreOptions) -> AsyncIterator[S3PhotoStore]:
    """Return a store that sees the proxy as its server."""
    async with S3PhotoStore(options) as store:
        yield store


@pytest_asyncio.fixture
async def hurried(options: StoreOptions) -> AsyncIterator[S3PhotoStore]:
    """Return a store with a deadline that tests can wait for."""
    async with S3PhotoStore(attrs.evolve(options, deadline_seconds=2.0)) as store:
        yield store

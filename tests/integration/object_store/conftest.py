"""A real S3 server behind a proxy that misbehaves when told to."""

import io
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from adapters.object_store.store import MinioPhotoStore, StoreOptions
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
    """Return how to reach the proxy, with times that tests can wait for."""
    return StoreOptions(
        proxy.endpoint,
        s3_server.access_key,
        s3_server.secret_key,
        connections=2,
        connect_seconds=0.5,
        read_seconds=0.3,
        deadline_seconds=0.8,
    )


@pytest.fixture
def store(options: StoreOptions) -> Iterator[MinioPhotoStore]:
    """Return a store that sees the proxy as its server."""
    store = MinioPhotoStore(options)
    yield store
    store.close()


@pytest.fixture
def patient(options: StoreOptions) -> Iterator[MinioPhotoStore]:
    """Return a store that the deadline alone can stop."""
    store = MinioPhotoStore(attrs.evolve(options, read_seconds=30.0))
    yield store
    store.close()

"""Every photo store that there is, each with a way to put objects into it."""

import io
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
import pytest_asyncio

from adapters.object_store.retrying import RetryingPhotoStore
from adapters.object_store.store import S3PhotoStore, StoreOptions
from application.ports.photo_store import PhotoStore
from domain.images import ImageRef
from domain.retries import LinearBackoff
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from tests.fakes.clock import ManualClock
from tests.fakes.photo_store import InMemoryPhotoStore


@attrs.frozen
class Subject:
    """A store under test, its bucket, and how an object gets there, with headers that the store keeps beside it."""

    store: PhotoStore
    bucket: str
    put: Callable[[ImageRef, bytes, dict[str, str]], None]

    def given(self, key: str, content: bytes, **headers: str) -> ImageRef:
        """Put an object and return where it is."""
        ref = ImageRef(self.bucket, key)
        self.put(ref, content, headers)
        return ref


def _real(server: S3Server | SeaweedServer, access_key: str, secret_key: str) -> tuple[S3PhotoStore, Subject]:
    client, bucket = server.client(), "photo-store-contract"
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)

    def put(ref: ImageRef, content: bytes, headers: dict[str, str]) -> None:
        client.put_object(ref.bucket, ref.key, io.BytesIO(content), len(content), metadata={**headers} or None)

    store = S3PhotoStore(StoreOptions(server.endpoint, access_key, secret_key, connections=4))
    retrying = RetryingPhotoStore(store, LinearBackoff(3, 0.01), clock=ManualClock(), deadline_seconds=60)
    return store, Subject(retrying, bucket, put)


@pytest_asyncio.fixture(params=["in memory", "minio front end", "seaweedfs", "seaweedfs, read only"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Return each store in turn, with a bucket."""
    if request.param == "in memory":
        fake = InMemoryPhotoStore()

        def put(ref: ImageRef, content: bytes, _headers: dict[str, str]) -> None:
            fake.put(ref, content)

        yield Subject(fake, "photos", put)
        return
    if request.param == "minio front end":
        server: S3Server | SeaweedServer = request.getfixturevalue("s3_server")
        identity = server.access_key, server.secret_key
    else:
        seaweed: SeaweedServer = request.getfixturevalue("seaweed_server")
        server = seaweed
        identity = seaweed.access_key, seaweed.secret_key
        if request.param == "seaweedfs, read only":
            identity = seaweed.reader_access_key, seaweed.reader_secret_key
    store, real = _real(server, *identity)
    yield real
    await store.close()

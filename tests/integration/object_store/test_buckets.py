"""A bucket that is missing is told from one that is there, with the rights that jobs have."""

from uuid import uuid4

import pytest

from adapters.object_store.buckets import Bucket, look_for_buckets
from adapters.object_store.store import StoreOptions
from domain.errors import StorageUnavailableError
from infra.local_stack.process import free_port
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from tests.faults.least_rights import ALLOWED, GuardedStore


@pytest.fixture(params=["minio front end", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server | SeaweedServer:
    """Return each server in turn."""
    found: S3Server | SeaweedServer = request.getfixturevalue(
        "s3_server" if request.param == "minio front end" else "seaweed_server"
    )
    return found


async def test_missing_buckets_are_found(server: S3Server | SeaweedServer) -> None:
    """Whether a name is unknown or impossible, and whether a bucket is empty or not."""
    client, empty = server.client(), f"empty-{uuid4().hex[:8]}"
    client.make_bucket(empty)
    options = StoreOptions(server.endpoint, server.access_key, server.secret_key)
    assert await look_for_buckets(options, [empty, "no-such-bucket", "No Such Bucket"]) == {
        empty: Bucket.THERE,
        "no-such-bucket": Bucket.MISSING,
        "No Such Bucket": Bucket.MISSING,
    }


async def test_the_worker_s_key_is_enough(server: S3Server | SeaweedServer) -> None:
    """It sees the bucket that it may read; of others the store says nothing."""
    store = GuardedStore.made(server)
    options = StoreOptions(server.endpoint, store.access_key, store.secret_key)
    seen = await look_for_buckets(options, [ALLOWED, "no-such-bucket"])
    assert (seen[ALLOWED], seen["no-such-bucket"] is Bucket.THERE) == (Bucket.THERE, False)


async def test_a_store_that_is_away_tells_nothing() -> None:
    """That is a failure of its own."""
    with pytest.raises(StorageUnavailableError):
        await look_for_buckets(StoreOptions(f"127.0.0.1:{free_port()}"), ["images"])

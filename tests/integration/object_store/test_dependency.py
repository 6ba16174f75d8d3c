"""What the probe of the object store takes for an outage, and what not."""

import time

import attrs
import pytest
import pytest_asyncio

from adapters.object_store.errors import ObjectArchivedError, StorageRefusedError
from adapters.object_store.store import ObjectStoreDependency, S3PhotoStore, StoreOptions
from adapters.object_store.witnesses import Witnesses
from adapters.system.clock import SystemClock
from domain.errors import StorageUnavailableError
from domain.images import ImageRef
from infra.local_stack.process import free_port
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from tests import faulty_s3 as faulty
from tests.faulty_s3 import Fault, FaultyS3
from tests.integration.object_store.conftest import Closing


@pytest.fixture(params=["minio front end", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server | SeaweedServer:
    """Return each server in turn, with a bucket ``probed``."""
    found: S3Server | SeaweedServer = request.getfixturevalue(
        "s3_server" if request.param == "minio front end" else "seaweed_server"
    )
    client = found.client()
    if not client.bucket_exists("probed"):
        client.make_bucket("probed")
    return found


@pytest_asyncio.fixture
async def probe(options: StoreOptions, closing: Closing) -> ObjectStoreDependency:
    """Return a probe that sees the proxy as its server."""
    return closing(ObjectStoreDependency(options, "probed"))


@pytest.mark.parametrize("bucket", ["probed", "no-such-bucket"])
async def test_a_server_that_answers_is_up(server: S3Server | SeaweedServer, bucket: str, closing: Closing) -> None:
    """A bucket that is missing is no outage: jobs that name it end as image_not_found."""
    options = StoreOptions(server.endpoint, server.access_key, server.secret_key)
    await closing(ObjectStoreDependency(options, bucket)).check()


async def test_credentials_that_may_only_read_are_enough(seaweed_server: SeaweedServer, closing: Closing) -> None:
    """The probe needs no right that the jobs do not need."""
    options = StoreOptions(seaweed_server.endpoint, seaweed_server.reader_access_key, seaweed_server.reader_secret_key)
    await closing(ObjectStoreDependency(options, "probed")).check()


async def test_a_policy_without_listing_is_enough(probe: ObjectStoreDependency, proxy: FaultyS3) -> None:
    """Where keys may not be listed, a missing one is forbidden: the server is up all the same."""
    proxy.script.append(faulty.error("403 Forbidden", "AccessDenied"))
    await probe.check()
    assert proxy.requests[0].startswith(b"GET /probed/.facematch-probe HTTP/1.1")


async def test_photographs_in_an_archive_are_no_outage(
    options: StoreOptions, closing: Closing, proxy: FaultyS3
) -> None:
    """Each has to be restored, which says nothing of rights: not one job that is fine may wait for theirs."""
    witnesses = Witnesses(clock=SystemClock())
    store = closing(S3PhotoStore(options, witnesses))
    old = ["one.jpg", "two.jpg"]
    proxy.standing = faulty.only_for(old, faulty.error("403 Forbidden", "InvalidObjectState"))
    for name in old:
        with pytest.raises(ObjectArchivedError, match=rf"{name} lies in an archive"):
            await store.fetch(ImageRef("probed", name), max_bytes=100)
    await closing(ObjectStoreDependency(options, "probed", witnesses)).check()


async def test_wrong_credentials_are_an_outage_with_a_reason(
    server: S3Server | SeaweedServer, closing: Closing
) -> None:
    """They fail every job alike, until somebody mends them."""
    wrong_key = StoreOptions(server.endpoint, "nobody", "x" * 20)
    wrong_secret = StoreOptions(server.endpoint, server.access_key, "x" * 20)
    with pytest.raises(
        StorageRefusedError,
        match=r"refuses these credentials or settings \(InvalidAccessKeyId\): check FACEMATCH_S3_ACC",
    ):
        await closing(ObjectStoreDependency(wrong_key, "probed")).check()
    with pytest.raises(
        StorageRefusedError,
        match=r"refuses these credentials or settings \(SignatureDoesNotMatch\): check FACEMATCH_S3_SEC",
    ):
        await closing(ObjectStoreDependency(wrong_secret, "probed")).check()


async def test_missing_credentials_are_an_outage_with_a_reason(
    server: S3Server | SeaweedServer, closing: Closing
) -> None:
    """None were set, and the server wants some: the settings that are missing are named."""
    told = r"with these credentials \(AccessDenied\): FACEMATCH_S3_ACCESS_KEY and FACEMATCH_S3_SECRET_KEY are not set"
    with pytest.raises(StorageUnavailableError, match=told):
        await closing(ObjectStoreDependency(StoreOptions(server.endpoint), "probed")).check()


async def test_a_dead_port_is_an_outage_with_a_reason(options: StoreOptions, closing: Closing) -> None:
    """The reason names the endpoint."""
    endpoint = f"127.0.0.1:{free_port()}"
    with pytest.raises(StorageUnavailableError, match=rf"{endpoint}.*Connection refused"):
        await closing(ObjectStoreDependency(attrs.evolve(options, endpoint=endpoint), "probed")).check()


@pytest.mark.parametrize("fault", [faulty.silence, faulty.trickle_head])
async def test_a_server_that_keeps_one_waiting_is_an_outage(
    options: StoreOptions, proxy: FaultyS3, fault: Fault, closing: Closing
) -> None:
    """It takes the connection, and when the time is over there is still no answer."""
    proxy.script.append(fault)
    started = time.monotonic()
    with pytest.raises(StorageUnavailableError, match=r"did not come within 0\.5 s"):
        await closing(ObjectStoreDependency(options, "probed", seconds=0.5)).check()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "fault",
    [
        faulty.error("500 Internal Server Error", "InternalError"),
        faulty.error("503 Service Unavailable", "SlowDown"),
        faulty.answer("404 Not Found", b"no such backend", "Content-Type: text/plain"),
        faulty.answer("200 OK", b"<html>back soon</html>", "Content-Type: text/html"),
        faulty.answer("301 Moved Permanently", b"", "Location: http://127.0.0.1:1/"),
        faulty.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        faulty.hang_up,
    ],
)
async def test_a_server_that_answers_nonsense_is_down(
    probe: ObjectStoreDependency, proxy: FaultyS3, fault: Fault
) -> None:
    """Whatever listens there, it is not the object store, or not itself; the next probe may find it well."""
    proxy.script.append(fault)
    with pytest.raises(StorageUnavailableError):
        await probe.check()
    await probe.check()

"""Photographs are fetched with the temporary credentials of an AWS role, which are replaced in time."""

import asyncio
import gc
import time
from collections.abc import Iterator
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from adapters.object_store.aws_role import AwsRole
from adapters.object_store.errors import StorageRefusedError
from adapters.object_store.store import ObjectStoreDependency, S3PhotoStore, StoreOptions
from domain.errors import StorageUnavailableError
from domain.images import ImageRef
from infra.local_stack.process import free_port
from infra.local_stack.s3 import S3Server
from tests.aws_endpoint import AwsEndpoint
from tests.e2e.command import PATIENCE_SECONDS
from tests.e2e.world import eventually
from tests.fakes.clock import ManualClock
from tests.integration.object_store.conftest import Closing

PHOTO = ImageRef("images", "of-a-role.jpg")
CONTENT = b"a photograph"


@pytest.fixture(autouse=True)
def _stored(s3_server: S3Server) -> None:
    """Store the photograph."""
    client = s3_server.client()
    if not client.bucket_exists(PHOTO.bucket):
        client.make_bucket(PHOTO.bucket)
    client.put_object(PHOTO.bucket, PHOTO.key, BytesIO(CONTENT), len(CONTENT))


@pytest.fixture
def clock() -> ManualClock:
    """Return the time of everybody but the S3 server."""
    return ManualClock()


@pytest.fixture
def endpoint(s3_server: S3Server, tmp_path: Path, clock: ManualClock) -> Iterator[AwsEndpoint]:
    """Return who gives credentials."""
    with AwsEndpoint(s3_server, tmp_path, clock.now) as endpoint:
        yield endpoint


@pytest.fixture
def pod_identity(endpoint: AwsEndpoint, monkeypatch: pytest.MonkeyPatch) -> AwsEndpoint:
    """Return who gives credentials, by the variables of EKS Pod Identity."""
    _set(monkeypatch, endpoint.pod_identity)
    return endpoint


@pytest.fixture
def options(s3_server: S3Server, clock: ManualClock) -> StoreOptions:
    """Return how to reach the server with a role."""
    return StoreOptions(s3_server.endpoint, role=AwsRole("us-east-1", clock=clock))


@pytest.fixture
def store(options: StoreOptions, closing: Closing) -> S3PhotoStore:
    """Return a store that has a role."""
    return closing(S3PhotoStore(options))


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


async def _until_told(told: list[str], times: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(told) < times:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.01)


async def _until_only(before: set[asyncio.Task[Any]]) -> None:
    """Return once no other tasks are left than those of before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.01)


async def _fetched(store: S3PhotoStore) -> bytes:
    return await store.fetch(PHOTO, max_bytes=100)


@pytest.mark.parametrize("kind", ["pod identity", "web identity"])
async def test_photographs_are_fetched_with_temporary_credentials(
    store: S3PhotoStore, endpoint: AwsEndpoint, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes key and session token from either source; fetches at once ask for them once."""
    _set(monkeypatch, endpoint.pod_identity if kind == "pod identity" else endpoint.web_identity)
    assert await asyncio.gather(*[_fetched(store) for _ in range(5)]) == [CONTENT] * 5
    assert await _fetched(store) == CONTENT
    assert endpoint.asked == 1


async def test_an_expired_set_is_replaced_before_it_is_used(
    store: S3PhotoStore, pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """A worker without jobs sleeps over the end of its credentials; its next fetch succeeds with others."""
    await _fetched(store)
    clock.advance(3600)
    pod_identity.forget()
    assert await _fetched(store) == CONTENT
    assert len(pod_identity.given) == 2


async def test_a_set_is_replaced_while_it_is_good(
    store: S3PhotoStore, pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """Nobody waits for it, even where it takes long."""
    await _fetched(store)
    clock.advance(3600 - 200)
    pod_identity.answering.clear()
    assert await _fetched(store) == CONTENT
    pod_identity.answering.set()
    await eventually(lambda: asyncio.to_thread(len, pod_identity.given), lambda given: given == 2, "a second set")
    clock.advance(200)
    pod_identity.refusal = HTTPStatus.INTERNAL_SERVER_ERROR
    assert await _fetched(store) == CONTENT
    assert pod_identity.asked == 2


async def test_a_set_is_used_to_its_end_where_there_is_no_other(
    store: S3PhotoStore, pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """Until then a refusal stops nobody; then it is an outage that says whom to ask, and shows no secret."""
    await _fetched(store)
    pod_identity.refusal = HTTPStatus.FORBIDDEN
    for left in (200, 20):
        clock.advance(3600 - clock.monotonic() - left)
        assert await _fetched(store) == CONTENT
    clock.advance(20)
    with pytest.raises(StorageRefusedError, match=r"AWS_CONTAINER_CREDENTIALS_FULL_URI \(HTTP 403\): give the"):
        await _fetched(store)
    pod_identity.refusal = None
    assert await _fetched(store) == CONTENT


async def test_a_renewal_that_fails_is_told_once_until_one_succeeds(
    s3_server: S3Server, closing: Closing, pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """While the old set is good, nobody else would notice; who does is told why, how long it is good, and no secret."""
    told: list[str] = []
    role = AwsRole("us-east-1", clock=clock, report=told.append)
    store = closing(S3PhotoStore(StoreOptions(s3_server.endpoint, role=role)))
    for episode in (1, 2):
        await _fetched(store)
        pod_identity.refusal = HTTPStatus.FORBIDDEN
        for left in (200, 20):
            clock.advance(episode * 3600 - clock.monotonic() - left)
            assert await _fetched(store) == CONTENT
            await _until_told(told, episode)
        assert (len(told), pod_identity.asked) == (episode, 3 * episode)
        clock.advance(20)
        pod_identity.refusal = None
    first, second = told
    assert first == second
    assert "from AWS_CONTAINER_CREDENTIALS_FULL_URI (HTTP 403): give the service account a role" in first
    assert first.endswith("the old ones are good for 200 s")
    assert [secret for secret in pod_identity.secrets if secret in first] == []


async def test_a_renewal_that_fails_is_tried_again_after_a_pause(
    store: S3PhotoStore, pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """Not with every photograph: to be asked too often may be why it fails."""
    before = asyncio.all_tasks()
    await _fetched(store)
    pod_identity.refusal = HTTPStatus.TOO_MANY_REQUESTS
    clock.advance(3600 - 200)
    for seconds, asked in ((0, 2), (9.9, 2), (0.2, 3)):
        clock.advance(seconds)
        for _ in range(5):
            assert await _fetched(store) == CONTENT
            await _until_only(before)
        assert pod_identity.asked == asked


async def test_where_no_set_is_good_nothing_is_told_beside_the_outage(
    pod_identity: AwsEndpoint, clock: ManualClock
) -> None:
    """Whoever waits gets the error, and tells it."""
    told: list[str] = []
    pod_identity.refusal = HTTPStatus.FORBIDDEN
    with pytest.raises(StorageRefusedError):
        await AwsRole("us-east-1", clock=clock, report=told.append).credentials()
    assert told == []


async def test_a_refusal_of_sts_does_not_show_the_token(
    store: S3PhotoStore, endpoint: AwsEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The token is in the address that the SDK's error, which is no cause of ours, names."""
    _set(monkeypatch, endpoint.web_identity)
    endpoint.refusal = HTTPStatus.FORBIDDEN
    with pytest.raises(StorageRefusedError, match=r"AWS_WEB_IDENTITY_TOKEN_FILE \(HTTP 403\): let the role") as caught:
        await _fetched(store)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert endpoint.token not in f"{caught.value}{[record for record in caplog.records if record.levelname != 'DEBUG']}"


async def test_an_endpoint_that_is_away_is_an_outage(
    options: StoreOptions, closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe of the store says so, with what to do."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailableError, match=r"no credentials of an AWS role.*Connection refused.*give"):
        await closing(ObjectStoreDependency(options, "images")).check()


async def test_a_token_that_cannot_be_read_is_an_outage(
    store: S3PhotoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come yet: files are read each time."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "missing"))
    with pytest.raises(StorageUnavailableError, match="No such file or directory"):
        await _fetched(store)


async def test_an_endpoint_that_keeps_one_waiting_is_an_outage(
    options: StoreOptions, closing: Closing, pod_identity: AwsEndpoint
) -> None:
    """It is asked in a thread: the probe ends in its time, and whoever comes later is given what came late."""
    pod_identity.answering.clear()
    with pytest.raises(StorageUnavailableError, match=r"did not come within 0\.2 s"):
        await closing(ObjectStoreDependency(options, "images", seconds=0.2)).check()
    pod_identity.answering.set()
    assert await _fetched(closing(S3PhotoStore(options))) == CONTENT
    assert pod_identity.asked == 1


async def test_a_refusal_that_nobody_waits_for_any_more_is_told_to_nobody(
    clock: ManualClock, pod_identity: AwsEndpoint
) -> None:
    """Who asked was cut off, as at a worker's end: nothing is left over for the event loop to complain of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    pod_identity.refusal = HTTPStatus.FORBIDDEN
    pod_identity.answering.clear()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await AwsRole("us-east-1", clock=clock).credentials()
    pod_identity.answering.set()
    await _until_only(before)
    gc.collect()
    assert complaints == []


def test_the_end_waits_for_no_answer(clock: ManualClock, pod_identity: AwsEndpoint) -> None:
    """A worker that stops is gone although whoever gives credentials, or the name server, is silent."""
    pod_identity.answering.clear()

    async def ask() -> None:
        async with asyncio.timeout(0.1):
            await AwsRole("us-east-1", clock=clock).credentials()

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert time.monotonic() - began < 2

"""Passing faults are tried again with linear backoff, others are not: in memory, and on a real socket."""

import asyncio
import contextlib

import attrs
import pytest

from adapters.object_store.errors import ObjectForbiddenError, StorageRefusedError
from adapters.object_store.retrying import RetryingPhotoStore
from adapters.object_store.store import S3PhotoStore, StoreOptions
from adapters.system.clock import SystemClock
from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef
from domain.retries import LinearBackoff
from infra.local_stack.s3 import S3Server
from tests import faulty_s3 as faulty
from tests.fakes.clock import ManualClock, SteppedClock
from tests.fakes.photo_store import InMemoryPhotoStore
from tests.faulty_s3 import Fault, FaultyS3
from tests.integration.object_store.conftest import CONTENT, Closing

REF = ImageRef("photos", "a.jpg")
LIMIT = 1024 * 1024


@pytest.fixture
def memory() -> InMemoryPhotoStore:
    """Return a store with one object."""
    memory = InMemoryPhotoStore()
    memory.put(REF, b"a")
    return memory


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 4])
async def test_the_nth_wait_is_n_times_the_base(memory: InMemoryPhotoStore, failures: int) -> None:
    """As many waits as failures, each longer than the last by the base."""
    clock = ManualClock()
    memory.failures.extend(StorageUnavailableError("busy") for _ in range(failures))
    content = await RetryingPhotoStore(memory, LinearBackoff(5, 0.5), clock=clock, deadline_seconds=60).fetch(
        REF, max_bytes=10
    )
    assert (content, clock.slept) == (b"a", [0.5, 1.0, 1.5, 2.0][:failures])


async def test_the_last_error_is_raised_as_it_is(memory: InMemoryPhotoStore) -> None:
    """Exhausted, there is no wait after the last attempt, and nothing is wrapped around its error."""
    clock = ManualClock()
    errors = [StorageUnavailableError(f"fault {number}") for number in range(3)]
    memory.failures.extend(errors)
    with pytest.raises(StorageUnavailableError) as caught:
        await RetryingPhotoStore(memory, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
            REF, max_bytes=10
        )
    assert caught.value is errors[-1]
    assert (clock.slept, len(memory.fetched)) == ([0.5, 1.0], 3)


async def test_one_attempt_means_no_retry(memory: InMemoryPhotoStore) -> None:
    """With one attempt allowed the first error is the last."""
    clock = ManualClock()
    memory.failures.append(StorageUnavailableError("busy"))
    with pytest.raises(StorageUnavailableError):
        await RetryingPhotoStore(memory, LinearBackoff(1, 0.5), clock=clock, deadline_seconds=60).fetch(
            REF, max_bytes=10
        )
    assert (clock.slept, len(memory.fetched)) == ([], 1)


@pytest.mark.parametrize(
    "error",
    [
        ImageNotFoundError("gone"),
        ImageTooLargeError("large"),
        StorageRefusedError("credentials"),
        ObjectForbiddenError("rights"),
        RuntimeError("a defect"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_does_not_pass_is_not_tried_again(memory: InMemoryPhotoStore, error: Exception) -> None:
    """A second try would end like the first."""
    clock = ManualClock()
    memory.failures.append(error)
    with pytest.raises(type(error)) as caught:
        await RetryingPhotoStore(memory, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
            REF, max_bytes=10
        )
    assert caught.value is error
    assert (clock.slept, len(memory.fetched)) == ([], 1)


async def test_a_failure_that_does_not_pass_ends_the_retries(memory: InMemoryPhotoStore) -> None:
    """A passing fault, then none: the second is what counts."""
    clock = ManualClock()
    memory.failures.extend([StorageUnavailableError("busy"), ImageNotFoundError("gone")])
    with pytest.raises(ImageNotFoundError):
        await RetryingPhotoStore(memory, LinearBackoff(5, 0.5), clock=clock, deadline_seconds=60).fetch(
            REF, max_bytes=10
        )
    assert (clock.slept, len(memory.fetched)) == ([0.5], 2)


async def test_a_wait_can_be_cancelled(memory: InMemoryPhotoStore) -> None:
    """Who no longer wants the photograph waits no longer, and nothing more is fetched."""
    clock = SteppedClock()
    memory.available = False
    fetch = asyncio.create_task(
        RetryingPhotoStore(memory, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(REF, max_bytes=10)
    )
    await clock.advance(0.1)
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await clock.advance(10)
    assert (clock.sleepers, len(memory.fetched)) == (0, 1)


async def test_all_tries_together_have_a_deadline(memory: InMemoryPhotoStore) -> None:
    """It ends a wait in which the retries would have gone on, and nothing more is fetched."""
    memory.available = False
    clock = SteppedClock()
    store = RetryingPhotoStore(memory, LinearBackoff(100, 0.5), clock=clock, deadline_seconds=2.5)
    fetch = asyncio.create_task(store.fetch(REF, max_bytes=10))
    await clock.advance(0.5)
    with pytest.raises(StorageUnavailableError, match=r"did not come within 2\.5 s, all tries together"):
        await fetch
    await clock.advance(10)
    assert (clock.sleepers, len(memory.fetched)) == (0, 2)


async def test_the_deadline_cuts_a_try(store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """A store that trickles does not get the time of every try."""
    proxy.script += [faulty.trickle_body] * 10
    patient = RetryingPhotoStore(store, LinearBackoff(10, 0.0), clock=SystemClock(), deadline_seconds=2.0)
    with pytest.raises(StorageUnavailableError, match="all tries together"):
        await patient.fetch(photo, max_bytes=LIMIT)
    assert len(proxy.requests) == 1
    await asyncio.to_thread(faulty.wait_until, lambda: proxy.open_connections == 0, "the last connection to be cut")


FAULTS = {
    "500": faulty.error("500 Internal Server Error", "InternalError"),
    "503": faulty.error("503 Service Unavailable", "ServiceUnavailable"),
    "slow down": faulty.error("503 Slow Down", "SlowDown"),
    "hung up": faulty.hang_up,
    "reset": faulty.reset_mid_body,
    "cut": faulty.cut_mid_body,
    "silence": faulty.silence,
    "trickle": faulty.trickle_body,
    "redirect": faulty.answer("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/"),
    "garbage": faulty.answer("500 Oh", b"<<<", "Content-Type: application/xml"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_real_fault_passes(hurried: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, fault: Fault) -> None:
    """Two faults on the wire, then the photograph: three requests, two waits."""
    clock = ManualClock()
    proxy.script += [fault, fault]
    content = await RetryingPhotoStore(hurried, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
        photo, max_bytes=LIMIT
    )
    assert (content, clock.slept, len(proxy.requests)) == (CONTENT, [0.5, 1.0], 3)


async def test_a_server_that_comes_back_is_found_again(
    s3_server: S3Server, options: StoreOptions, photo: ImageRef, closing: Closing
) -> None:
    """Connections are refused while it is away."""
    with contextlib.ExitStack() as stack:
        proxy = FaultyS3(s3_server.endpoint)

        class ServerReturns(ManualClock):
            async def sleep(self, seconds: float) -> None:
                await super().sleep(seconds)
                if len(self.slept) == 2:
                    stack.enter_context(proxy)

        clock = ServerReturns()
        store = closing(S3PhotoStore(attrs.evolve(options, endpoint=proxy.endpoint)))
        content = await RetryingPhotoStore(store, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
            photo, max_bytes=LIMIT
        )
    assert (content, clock.slept, len(proxy.requests)) == (CONTENT, [0.5, 1.0], 1)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faulty.error("404 Not Found", "NoSuchKey"), ImageNotFoundError),
        (faulty.error("403 Forbidden", "AccessDenied"), ObjectForbiddenError),
        (faulty.error("403 Forbidden", "SignatureDoesNotMatch"), StorageRefusedError),
        (faulty.answer("200 OK", b"x" * (LIMIT + 1), 'ETag: "1"'), ImageTooLargeError),
    ],
)
async def test_a_real_refusal_does_not(
    store: S3PhotoStore, proxy: FaultyS3, photo: ImageRef, fault: Fault, error: type[Exception]
) -> None:
    """One request, no wait."""
    clock = ManualClock()
    proxy.script.append(fault)
    with pytest.raises(error):
        await RetryingPhotoStore(store, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
            photo, max_bytes=LIMIT
        )
    assert (clock.slept, len(proxy.requests)) == ([], 1)


async def test_a_real_fault_that_stays_is_raised(hurried: S3PhotoStore, proxy: FaultyS3, photo: ImageRef) -> None:
    """The last attempt's fault is what the caller sees."""
    clock = ManualClock()
    proxy.script += [faulty.hang_up, faulty.silence, faulty.error("503 Slow Down", "SlowDown")]
    with pytest.raises(StorageUnavailableError, match="SlowDown"):
        await RetryingPhotoStore(hurried, LinearBackoff(3, 0.5), clock=clock, deadline_seconds=60).fetch(
            photo, max_bytes=LIMIT
        )
    assert (clock.slept, len(proxy.requests)) == ([0.5, 1.0], 3)

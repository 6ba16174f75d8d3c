"""Every queue of jobs that there is, each with a way to put messages into it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.system.clock import SystemClock
from application.ports.job_queue import JobQueue
from tests.broker import ACK_WAIT, connected, provisioned, running
from tests.fakes.queue import InMemoryJobQueue

_LONG_ACK_WAIT = 30.0
_BEARABLE_ACK_WAIT = 3.0


@attrs.frozen
class Subject:
    """A queue under test, the same queue as another worker sees it, and how a message gets in.

    ``ack_wait`` is the time in seconds after which a job without a sign of life is delivered again;
    ``stop`` makes the broker go away.
    """

    queue: JobQueue
    another: JobQueue
    publish: Callable[[bytes, Mapping[str, str]], Awaitable[int]]
    stop: Callable[[], None]
    ack_wait: float

    async def given(self, *bodies: bytes, **headers: str) -> None:
        """Put messages into the queue."""
        for body in bodies:
            await self.publish(body, headers)


@asynccontextmanager
async def _in_memory(_folder: Path, ack_wait: float) -> AsyncIterator[Subject]:
    queue = InMemoryJobQueue(SystemClock(), ack_wait=ack_wait)

    async def publish(body: bytes, headers: Mapping[str, str]) -> int:
        return queue.publish(body, headers).sequence

    def stop() -> None:
        queue.available = False

    yield Subject(queue, queue, publish, stop, ack_wait)


@asynccontextmanager
async def _jetstream(folder: Path, ack_wait: float) -> AsyncIterator[Subject]:
    async with running(folder) as server, connected(server) as client, connected(server) as other:
        names = await provisioned(client, ack_wait_seconds=ack_wait)
        js = client.jetstream()

        async def publish(body: bytes, headers: Mapping[str, str]) -> int:
            return (await js.publish(names.subject, body, headers=dict(headers))).seq

        queue = JetStreamJobQueue(client, names, ack_wait_seconds=ack_wait)
        another = JetStreamJobQueue(other, names, ack_wait_seconds=ack_wait)
        yield Subject(queue, another, publish, server.kill, ack_wait)


Kind = Callable[[Path, float], AbstractAsyncContextManager[Subject]]


@pytest.fixture(params=[_in_memory, _jetstream], ids=["in memory", "jetstream"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of queue in turn."""
    chosen: Kind = request.param
    return chosen


@pytest_asyncio.fixture
async def subject(kind: Kind, tmp_path: Path) -> AsyncIterator[Subject]:
    """Return an empty queue; while a test lasts no job comes again because of the time."""
    async with kind(tmp_path, _LONG_ACK_WAIT) as subject:
        yield subject


@pytest_asyncio.fixture
async def forgetful(kind: Kind, tmp_path: Path) -> AsyncIterator[Subject]:
    """Return an empty queue whose time to acknowledge is soon over, for who waits for the end of it."""
    async with kind(tmp_path, ACK_WAIT) as subject:
        yield subject


@pytest_asyncio.fixture
async def bearable(kind: Kind, tmp_path: Path) -> AsyncIterator[Subject]:
    """Return an empty queue whose time to acknowledge can be waited for, and is kept by who pauses for two seconds."""
    async with kind(tmp_path, _BEARABLE_ACK_WAIT) as subject:
        yield subject

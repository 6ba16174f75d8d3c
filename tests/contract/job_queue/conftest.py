"""Every queue of jobs that there is, each with a way to put messages into it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.consumer import JetStreamJobQueue
from adapters.system.clock import SystemClock
from application.ports.job_queue import JobQueue
from tests.broker import ACK_WAIT, connected, provisioned, running
from tests.fakes.queue import InMemoryJobQueue


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


def _in_memory() -> Subject:
    ack_wait = 0.6
    queue = InMemoryJobQueue(SystemClock(), ack_wait=ack_wait)

    async def publish(body: bytes, headers: Mapping[str, str]) -> int:
        return queue.publish(body, headers).sequence

    def stop() -> None:
        queue.available = False

    return Subject(queue, queue, publish, stop, ack_wait)


@pytest_asyncio.fixture(params=["in memory", "jetstream"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    """Return each queue in turn, empty."""
    if request.param == "in memory":
        yield _in_memory()
        return
    async with running(tmp_path) as server, connected(server) as client, connected(server) as other:
        names = await provisioned(client)
        js = client.jetstream()

        async def publish(body: bytes, headers: Mapping[str, str]) -> int:
            return (await js.publish(names.subject, body, headers=dict(headers))).seq

        queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
        another = JetStreamJobQueue(other, names, ack_wait_seconds=ACK_WAIT)
        yield Subject(queue, another, publish, server.kill, ACK_WAIT)

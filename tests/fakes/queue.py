"""The queue of jobs in memory, with JetStream's rules: redelivery by time, and late acknowledgements count."""

import asyncio
from collections.abc import Mapping, Sequence

import attrs

from adapters.nats_jetstream.headers import replayed_trace_context, trace_context
from adapters.nats_jetstream.jobs.payload import encode_job
from application.ports.clock import Clock
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey, MatchJob
from tests.fakes.clock import ManualClock


@attrs.define(eq=False)
class StoredJob:
    """A message in the queue: when it may be delivered (again), and how it ended."""

    key: JobKey
    body: bytes
    headers: Mapping[str, str]
    due: float
    deliveries: int = 0
    acked: bool = False
    terminated: str | None = None

    @property
    def ended(self) -> bool:
        """True when it will not be delivered again."""
        return self.acked or self.terminated is not None


class InMemoryDelivery:
    """One delivery. ``retries`` and ``signs_of_life`` are what the worker said about it."""

    def __init__(self, queue: "InMemoryJobQueue", job: StoredJob) -> None:
        self.retries: list[float] = []
        self.signs_of_life = 0
        self.job = job
        self._queue = queue
        self._number = job.deliveries
        self._settled = False

    @property
    def key(self) -> JobKey:
        """The job's."""
        return self.job.key

    @property
    def number(self) -> int:
        """The count at the time of delivery."""
        return self._number

    @property
    def body(self) -> bytes:
        """The job's."""
        return self.job.body

    @property
    def headers(self) -> Mapping[str, str]:
        """The job's."""
        return self.job.headers

    @property
    def trace_context(self) -> Mapping[str, str]:
        """As JetStream's."""
        return trace_context(self.job.headers)

    @property
    def replayed_trace_context(self) -> Mapping[str, str]:
        """As JetStream's."""
        return replayed_trace_context(self.job.headers)

    async def ack(self) -> None:
        """End the job, also when it has been delivered again meanwhile."""
        await self._settle("ack")
        self.job.acked = True

    async def retry(self, *, after_seconds: float) -> None:
        """Make the job due after a delay, also when it has been delivered again meanwhile."""
        await self._settle("retry")
        self.retries.append(after_seconds)
        self._queue.make_due(self.job, after_seconds)

    async def terminate(self, reason: str) -> None:
        """End the job."""
        await self._settle("terminate")
        self.job.terminated = reason

    async def keep_alive(self) -> None:
        """Start the time for acknowledgement again."""
        await self._queue.reach("keep_alive")
        self.signs_of_life += 1
        if not self._settled:
            self._queue.make_due(self.job, self._queue.ack_wait)

    async def _settle(self, what: str) -> None:
        await self._queue.reach(what)
        if self._settled:
            raise MessagingUnavailableError(f"queue, {what}: the delivery was settled before")
        self._settled = True


class InMemoryJobQueue:
    """A stream and its consumer in one.

    ``available`` set to false makes everything fail; names put into ``failing`` (``fetch``, ``ack``, ``retry``,
    ``terminate``, ``keep_alive``, ``submit``) fail alone. ``jobs`` is everything ever stored, ``deliveries``
    everything handed out, ``fetched`` the limit of each fetch.
    """

    def __init__(self, clock: Clock | None = None, *, ack_wait: float = 30.0) -> None:
        self.ack_wait = ack_wait
        self.available = True
        self.failing: set[str] = set()
        self.jobs: list[StoredJob] = []
        self.deliveries: list[InMemoryDelivery] = []
        self.fetched: list[int] = []
        self._clock = clock or ManualClock()
        self._changed = asyncio.Event()

    def publish(self, body: bytes, headers: Mapping[str, str] | None = None) -> JobKey:
        """Store any message, as anybody may."""
        key = JobKey(len(self.jobs) + 1, self._clock.now())
        self.jobs.append(StoredJob(key, body, headers or {}, due=self._clock.monotonic()))
        self._changed.set()
        return key

    async def submit(self, job: MatchJob) -> JobKey:
        """Store a job."""
        await self.reach("submit")
        return self.publish(encode_job(job))

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:
        """Deliver what is due, or wait for the first, by the clock."""
        self.fetched.append(limit)
        deadline = self._clock.monotonic() + timeout_seconds
        while True:
            await self.reach("fetch")
            due = [job for job in self.jobs if not job.ended and job.due <= self._clock.monotonic()]
            if due:
                return [self._deliver(job) for job in due[:limit]]
            if self._clock.monotonic() >= deadline:
                return []
            await self._wait(deadline)

    async def close(self) -> Sequence[InMemoryDelivery]:
        """Return nothing: no fetch outlives its caller here."""
        return []

    def make_due(self, job: StoredJob, after_seconds: float) -> None:
        """Set the time at which an unsettled job may be delivered again."""
        job.due = self._clock.monotonic() + after_seconds
        self._changed.set()

    async def reach(self, what: str) -> None:
        """Let other tasks have a turn, then raise where the broker does not answer."""
        await asyncio.sleep(0)
        if not self.available or what in self.failing:
            raise MessagingUnavailableError(f"queue, {what}: no answer")

    def _deliver(self, job: StoredJob) -> InMemoryDelivery:
        job.deliveries += 1
        job.due = self._clock.monotonic() + self.ack_wait
        delivery = InMemoryDelivery(self, job)
        self.deliveries.append(delivery)
        return delivery

    async def _wait(self, deadline: float) -> None:
        """Return at the deadline, when the next job is due, or when something has changed."""
        self._changed.clear()
        until = min([deadline, *(job.due for job in self.jobs if not job.ended)])
        waits = {
            asyncio.ensure_future(self._clock.sleep(until - self._clock.monotonic())),
            asyncio.ensure_future(self._changed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

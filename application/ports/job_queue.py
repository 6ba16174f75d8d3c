"""The queue of jobs, delivered at least once."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.jobs import JobKey, MalformedJob, MatchJob


class Delivery(Protocol):
    """One delivery of one job; exactly one of ack, retry and terminate ends it.

    Each method raises :class:`domain.errors.MessagingUnavailableError` when the broker cannot be reached;
    the job is then delivered again.
    """

    @property
    def key(self) -> JobKey:
        """Identity of the job, the same for every delivery."""

    @property
    def number(self) -> int:
        """How often the job has been delivered, this time included: 1 is the first."""

    @property
    def body(self) -> bytes:
        """The request as it came."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""

    @property
    def trace_context(self) -> Mapping[str, str]:
        """W3C's ``traceparent`` and ``tracestate`` of whoever sent the request, as far as they were given."""

    @property
    def replayed_trace_context(self) -> Mapping[str, str]:
        """The same of the job that this one is sent again for; empty where it is none."""

    async def ack(self) -> None:
        """End the job as done; returns when the queue has confirmed."""

    async def retry(self, *, after_seconds: float) -> None:
        """Give the job back, to be delivered again no sooner than that."""

    async def terminate(self, reason: str) -> None:
        """End the job for good; it is not delivered again."""

    async def keep_alive(self) -> None:
        """Say that work is going on: the time allowed for it starts again."""


class JobQueue(Protocol):
    """Hands out deliveries."""

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        """Return 1 to ``limit`` deliveries as soon as there are any, or none after the timeout.

        A fetch that is cancelled leaves what it took, and what still comes for it, to :meth:`close`.

        Raises:
            MessagingUnavailableError: the broker, the stream or the consumer is not there.

        """

    async def close(self) -> Sequence[Delivery]:
        """Fetch no more, so that what is given back from now on goes to others; never raises, nor waits for long.

        Returns what a cancelled fetch has left: nobody else will settle it.
        """


class JobParser(Protocol):
    """Understands a request's body; never raises."""

    def parse(self, body: bytes) -> MatchJob | MalformedJob:
        """Return the job, or everything that is wrong with it."""

"""The durable pull consumer, as a queue of deliveries."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress

import attrs
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from adapters.nats_jetstream.connection.asking import jetstream
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import consumer_of, stream_of
from adapters.nats_jetstream.jobs.consumer_config import problem
from adapters.nats_jetstream.jobs.delivery import JetStreamDelivery
from adapters.nats_jetstream.jobs.pulling import PullInbox, SilentConsumerError
from adapters.nats_jetstream.jobs.stream_incarnation import TRUST_SECONDS, StreamIncarnation
from adapters.nats_jetstream.names import BrokerNames
from domain.errors import MessagingUnavailableError

_LOOK_SECONDS = 10.0
_ANSWER_SECONDS = 1.0


@attrs.frozen
class _Standstill:
    """When jobs were first seen to wait, and which delivery was the consumer's last."""

    since: float
    delivered: int


class JetStreamJobQueue:
    """Fetches from a durable consumer that ``provision`` made; one fetch at a time.

    ``ack_wait_seconds`` is the time that the worker counts on between two signs of life. Every ``look_seconds`` a fetch
    looks whether somebody has changed the consumer so that it does harm. Jobs that wait for so long while nobody is
    given one, though fetches are answered, are told and asked for anew. ``trust_seconds``: see
    :class:`StreamIncarnation`.
    """

    def __init__(
        self,
        client: Client,
        names: BrokerNames,
        *,
        ack_wait_seconds: float,
        look_seconds: float = _LOOK_SECONDS,
        trust_seconds: float = TRUST_SECONDS,
    ) -> None:
        self._client = client
        self._js = jetstream(client)
        self._names = names
        self._ack_wait_seconds = ack_wait_seconds
        self._look_seconds = look_seconds
        self._trust_seconds = trust_seconds
        self._inbox: PullInbox | None = None
        self._taken: Sequence[JetStreamDelivery] = []
        self._looked_at = -math.inf
        self._standstill: _Standstill | None = None

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[JetStreamDelivery]:
        """Return what there is, at once, or wait for the first; of a cancelled fetch, ``close`` returns it."""
        inbox = await self._bound()
        try:
            if _now() - self._looked_at >= self._look_seconds:
                await self._look(inbox.incarnation.stream)
            self._taken = await inbox.pull(limit, timeout_seconds=timeout_seconds)
            if not self._taken:
                await self._check_progress(inbox.incarnation.stream)
                return []
            self._standstill = None
            jobs = await self._jobs_among(self._taken, inbox.incarnation.stream)
        except MessagingUnavailableError as error:
            inbox.incarnation.invalidate()
            await self._unbind(inbox)
            await self._bound()  # tells what is missing, where something is
            if isinstance(error, SilentConsumerError):
                return []  # everything answers: only the request was lost
            raise
        self._taken = []
        return jobs

    async def close(self) -> Sequence[JetStreamDelivery]:
        """End what was asked for: otherwise the server would deliver here what is given back."""
        coming = [] if self._inbox is None else await self._inbox.drain()
        return [left for left in (*self._taken, *coming) if self._is_job(left)]

    async def _look(self, stream: str) -> ConsumerInfo | None:
        """Check the consumer; without an answer soon nothing is known of it, and jobs are asked for all the same."""
        self._looked_at = _now()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._check_consumer(stream)
        return None

    async def _jobs_among(self, deliveries: Sequence[JetStreamDelivery], stream: str) -> Sequence[JetStreamDelivery]:
        """Leave out what only a consumer that was changed delivers, or may have; it comes again in due time."""
        jobs = [delivery for delivery in deliveries if self._is_job(delivery)]
        if len(jobs) == len(deliveries):
            return deliveries
        try:
            await self._check_consumer(stream)
        except MessagingUnavailableError:
            self._looked_at = -math.inf  # the next fetch says what is wrong
            return jobs
        return deliveries

    def _is_job(self, delivery: JetStreamDelivery) -> bool:
        return delivery.is_whole and delivery.subject == self._names.subject

    async def _check_progress(self, stream: str) -> None:
        """After a fetch that brought nothing, look whether there was nothing to bring."""
        info = await self._look(stream)
        if info is None:
            return
        now = _now()
        delivered = info.delivered.consumer_seq if info.delivered is not None else 0
        if not info.num_pending or (info.num_ack_pending or 0) >= (info.config.max_ack_pending or 0) > 0:
            self._standstill = None
        elif self._standstill is None or self._standstill.delivered != delivered:
            self._standstill = _Standstill(now, delivered)
        elif now - self._standstill.since >= self._look_seconds:
            why = "the consumer is paused" if info.paused else "the consumer delivers none"
            raise MessagingUnavailableError(f"NATS, fetch: {info.num_pending} jobs wait, and {why}")

    async def _bound(self) -> PullInbox:
        """Return the inbox, after looking that the consumer is really there and does what is expected of it."""
        if not self._client.is_connected:
            raise MessagingUnavailableError("NATS, fetch: not connected")
        if self._inbox is not None and self._inbox.incarnation.is_over:
            await self._unbind(self._inbox)
        if self._inbox is None:
            stream = await stream_of(self._js, self._names.subject)
            await self._check_consumer(stream)
            incarnation = await StreamIncarnation.current(self._client, stream, trust_seconds=self._trust_seconds)
            inbox = PullInbox(self._client, incarnation, self._names.durable)
            await inbox.open()
            self._inbox = inbox
        return self._inbox

    async def _unbind(self, inbox: PullInbox) -> None:
        self._inbox = None
        await inbox.close()

    async def _check_consumer(self, stream: str) -> ConsumerInfo:
        """Return the consumer's state; raise where it is not as a worker needs it."""
        durable = self._names.durable
        info = await consumer_of(self._js, stream, durable)
        with translated("consumer"):
            found = await problem(self._js, stream, info.config, self._names, self._ack_wait_seconds)
        if found is not None:
            raise MessagingUnavailableError(
                f"the consumer {durable} on stream {stream} {found}: run `facematch provision`"
            )
        self._looked_at = _now()
        return info


def _now() -> float:
    return asyncio.get_running_loop().time()

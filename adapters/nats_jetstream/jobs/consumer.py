"""The durable pull consumer, as a queue of deliveries."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import attrs
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from adapters.nats_jetstream.connection.connecting import jetstream, translated
from adapters.nats_jetstream.connection.finding import consumer_of, stream_of
from adapters.nats_jetstream.jobs.consumer_config import problem
from adapters.nats_jetstream.jobs.delivery import JetStreamDelivery
from adapters.nats_jetstream.jobs.pulling import PullInbox, SilentConsumerError
from adapters.nats_jetstream.jobs.stream_life import StreamLife
from adapters.nats_jetstream.jobs.timeline import Timeline
from adapters.nats_jetstream.names import Names
from domain.errors import MessagingUnavailableError

_STALL_SECONDS = 10.0


@attrs.frozen
class Backlog:
    """What the consumer has before it: jobs waiting, delivered but not acknowledged, and delivered again."""

    pending: int
    ack_pending: int
    redelivered: int


@attrs.frozen
class _Standstill:
    """When jobs were first seen to wait, and which delivery was the consumer's last."""

    since: float
    delivered: int


class JetStreamJobQueue:
    """Fetches from a durable consumer that ``provision`` made; one fetch at a time.

    ``ack_wait_seconds`` is the time that the worker counts on between two signs of life. Jobs that wait for
    ``stall_seconds`` while nobody is given one, though fetches are answered, are told and asked for anew.
    """

    def __init__(
        self, client: Client, names: Names, *, ack_wait_seconds: float, stall_seconds: float = _STALL_SECONDS
    ) -> None:
        self._client = client
        self._js = jetstream(client)
        self._names = names
        self._ack_wait_seconds = ack_wait_seconds
        self._stall_seconds = stall_seconds
        self._inbox: PullInbox | None = None
        self._is_changed = False
        self._standstill: _Standstill | None = None
        self._looked_at = 0.0
        self._timeline = Timeline()

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[JetStreamDelivery]:
        """Return what there is, at once, or wait for the first; of a cancelled fetch, ``close`` returns it."""
        inbox = await self._bound()
        try:
            deliveries = await self._jobs_among(await inbox.pull(limit, timeout_seconds=timeout_seconds))
            if deliveries:
                self._standstill = None
            else:
                await self._check_progress()
        except MessagingUnavailableError as error:
            inbox.life.doubt()
            await self._unbind(inbox)
            await self._bound()  # tells what is missing, where something is
            if isinstance(error, SilentConsumerError):
                return []  # everything answers: only the request was lost
            raise
        for delivery in deliveries:
            self._timeline.delivered(delivery.key)
        return deliveries

    async def close(self) -> Sequence[JetStreamDelivery]:
        """End what was asked for: otherwise the server would deliver here what is given back."""
        return [] if self._inbox is None else [left for left in await self._inbox.drain() if self._is_job(left)]

    async def backlog(self) -> Backlog:
        """Ask the server for the consumer's state."""
        info = await self._info()
        return Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)

    async def oldest(self, now: datetime) -> datetime | None:
        """Return when the oldest job that is not settled had been stored at the latest; None while there is none.

        It is exact for jobs that were delivered here, and as exact as this is called often for those that were not.
        """
        stream = await self._stream()
        with translated("stream info"):
            state = (await self._js.stream_info(stream)).state
        self._timeline.seen(first=state.first_seq, last=state.last_seq, now=now)
        info = await self._info()
        if not info.num_pending and not info.num_ack_pending:
            self._timeline.settled()
            return None
        return self._timeline.oldest(
            settled=info.ack_floor.stream_seq if info.ack_floor is not None else 0,
            delivered=info.delivered.stream_seq if info.delivered is not None else 0,
            all_delivered=not info.num_pending,
        )

    async def _info(self) -> ConsumerInfo:
        """Ask for the consumer's state; where somebody has changed it so that it does harm, the next fetch says so."""
        stream = await self._stream()
        info = await consumer_of(self._js, stream, self._names.durable)
        self._is_changed = await self._problem(stream, info) is not None
        return info

    async def _jobs_among(self, deliveries: Sequence[JetStreamDelivery]) -> Sequence[JetStreamDelivery]:
        """Leave out what only a consumer that was changed delivers, or may have; it comes again in due time."""
        jobs = [delivery for delivery in deliveries if self._is_job(delivery)]
        if len(jobs) == len(deliveries):
            return deliveries
        try:
            await self._info()
        except MessagingUnavailableError:
            return jobs
        return jobs if self._is_changed else deliveries

    def _is_job(self, delivery: JetStreamDelivery) -> bool:
        return delivery.is_whole and delivery.subject == self._names.subject

    async def _check_progress(self) -> None:
        """After a fetch that brought nothing, look now and then whether there was nothing to bring."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < self._stall_seconds and self._standstill is None:
            return
        self._looked_at = now
        info = await self._info()
        delivered = info.delivered.consumer_seq if info.delivered is not None else 0
        if not info.num_pending or (info.num_ack_pending or 0) >= (info.config.max_ack_pending or 0) > 0:
            self._standstill = None
        elif self._standstill is None or self._standstill.delivered != delivered:
            self._standstill = _Standstill(now, delivered)
        elif now - self._standstill.since >= self._stall_seconds:
            why = "the consumer is paused" if info.paused else "the consumer delivers none"
            raise MessagingUnavailableError(f"NATS, fetch: {info.num_pending} jobs wait, and {why}")

    async def _bound(self) -> PullInbox:
        """Return the inbox, after looking that the consumer is really there and does what is expected of it."""
        if not self._client.is_connected:
            raise MessagingUnavailableError("NATS, fetch: not connected")
        if self._inbox is not None and (self._inbox.life.is_over or self._is_changed):
            await self._unbind(self._inbox)
        if self._inbox is None:
            stream = await self._stream()
            await self._check_consumer(stream)
            inbox = PullInbox(self._client, await StreamLife.begin(self._client, stream), self._names.durable)
            await inbox.open()
            self._inbox = inbox
        return self._inbox

    async def _unbind(self, inbox: PullInbox) -> None:
        self._inbox = None
        await inbox.close()

    async def _stream(self) -> str:
        return await stream_of(self._js, self._names.subject)

    async def _check_consumer(self, stream: str) -> None:
        durable = self._names.durable
        found = await self._problem(stream, await consumer_of(self._js, stream, durable))
        if found is not None:
            raise MessagingUnavailableError(
                f"the consumer {durable} on stream {stream} {found}: run `facematch provision`"
            )
        self._is_changed = False

    async def _problem(self, stream: str, info: ConsumerInfo) -> str | None:
        with translated("consumer"):
            return await problem(self._js, stream, info.config, self._names, self._ack_wait_seconds)

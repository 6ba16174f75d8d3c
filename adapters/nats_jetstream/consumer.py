"""The durable pull consumer, as a queue of deliveries."""

from collections.abc import Sequence

import attrs
import nats.js.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.consumer_config import problem
from adapters.nats_jetstream.delivery import JetStreamDelivery
from adapters.nats_jetstream.names import Names
from adapters.nats_jetstream.pulling import PullInbox, SilentConsumerError
from domain.errors import MessagingUnavailableError

_API_SECONDS = 5.0


@attrs.frozen
class Backlog:
    """What the consumer has before it: jobs waiting, delivered but not acknowledged, and delivered again."""

    pending: int
    ack_pending: int
    redelivered: int


class JetStreamJobQueue:
    """Fetches from a durable consumer that ``provision`` made; one fetch at a time.

    ``ack_wait_seconds`` is the time that the worker counts on between two signs of life.
    """

    def __init__(self, client: Client, names: Names, *, ack_wait_seconds: float) -> None:
        self._client = client
        self._js = client.jetstream(timeout=_API_SECONDS)
        self._names = names
        self._ack_wait_seconds = ack_wait_seconds
        self._inbox: PullInbox | None = None

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[JetStreamDelivery]:
        """Return what there is, at once, or wait for the first. A fetch that is cancelled gives back what it took."""
        inbox = await self._bound()
        try:
            return await inbox.pull(limit, timeout_seconds=timeout_seconds)
        except MessagingUnavailableError as error:
            self._inbox = None
            await inbox.close()
            await self._bound()  # tells what is missing, where something is
            if isinstance(error, SilentConsumerError):
                return []  # everything answers: only the request was lost
            raise

    async def close(self) -> None:
        """End what was asked for: otherwise the server would deliver here what is given back."""
        if self._inbox is not None and self._client.is_connected:
            await self._inbox.drain()

    async def backlog(self) -> Backlog:
        """Ask the server for the consumer's state."""
        stream = await self._stream()
        with translated("consumer info"):
            info = await self._js.consumer_info(stream, self._names.durable)
        return Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)

    async def _bound(self) -> PullInbox:
        """Return the inbox, after looking that the consumer is really there and does what is expected of it."""
        if not self._client.is_connected:
            raise MessagingUnavailableError("NATS, fetch: not connected")
        if self._inbox is None:
            stream = await self._stream()
            await self._check_consumer(stream)
            inbox = PullInbox(self._client, stream, self._names.durable)
            await inbox.open()
            self._inbox = inbox
        return self._inbox

    async def _stream(self) -> str:
        """Return the stream that holds the subject, whoever made it."""
        with translated("stream"):
            try:
                return await self._js.find_stream_name_by_subject(self._names.subject)
            except nats.js.errors.NotFoundError as error:
                message = f"no stream holds the subject {self._names.subject}: run `facematch provision`"
                raise MessagingUnavailableError(message) from error

    async def _check_consumer(self, stream: str) -> None:
        durable = self._names.durable
        with translated("consumer"):
            try:
                config = (await self._js.consumer_info(stream, durable)).config
            except nats.js.errors.NotFoundError as error:
                message = f"there is no consumer {durable} on stream {stream}: run `facematch provision`"
                raise MessagingUnavailableError(message) from error
            found = await problem(self._js, stream, config, self._names, self._ack_wait_seconds)
        if found is not None:
            raise MessagingUnavailableError(
                f"the consumer {durable} on stream {stream} {found}: run `facematch provision`"
            )

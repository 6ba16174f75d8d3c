"""The durable pull consumer, as a queue of deliveries."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC

import attrs
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.client import JetStreamContext as _Context

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.names import Names
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey

_ACK_SECONDS = 5.0


class JetStreamDelivery:
    """One message as it was delivered."""

    def __init__(self, message: Msg) -> None:
        self._message = message
        metadata = message.metadata
        self._key = JobKey(metadata.sequence.stream, metadata.timestamp.astimezone(UTC))
        self._number = metadata.num_delivered

    @property
    def key(self) -> JobKey:
        """Stream sequence and stored time."""
        return self._key

    @property
    def number(self) -> int:
        """The server's count of deliveries."""
        return self._number

    @property
    def body(self) -> bytes:
        """The message's data."""
        return self._message.data

    @property
    def headers(self) -> Mapping[str, str]:
        """The message's headers."""
        return self._message.headers or {}

    async def ack(self) -> None:
        """Acknowledge, and wait until the server has confirmed."""
        with translated("ack"):
            await self._message.ack_sync(timeout=_ACK_SECONDS)

    async def retry(self, *, after_seconds: float) -> None:
        """Negatively acknowledge with a delay."""
        with translated("nak"):
            await self._message.nak(delay=after_seconds or None)

    async def terminate(self, reason: str) -> None:
        """Terminate with the reason, which the server puts into its advisory, and wait for its confirmation."""
        with translated("term"):
            await self._message._client.request(  # noqa: SLF001 - the client's own term() takes no reason
                self._message.reply, f"+TERM {reason}".encode(), timeout=_ACK_SECONDS
            )

    async def keep_alive(self) -> None:
        """Start the acknowledgement's time again."""
        with translated("in progress"):
            await self._message.in_progress()


@attrs.frozen
class Backlog:
    """What the consumer has before it: jobs waiting, delivered but not acknowledged, and delivered again."""

    pending: int
    ack_pending: int
    redelivered: int


class JetStreamJobQueue:
    """Fetches from a durable consumer that ``provision`` made; one fetch at a time."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client = client
        self._js: JetStreamContext = client.jetstream(timeout=_ACK_SECONDS)
        self._names = names
        self._subscription: _Context.PullSubscription | None = None

    async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[JetStreamDelivery]:
        """Return what there is, at once, or wait for the first.

        A fetch that is cancelled gives back what arrives late.
        """
        if not self._client.is_connected:
            raise MessagingUnavailableError("NATS, fetch: not connected")
        subscription = await self._bound()
        pull = asyncio.create_task(self._pull(subscription, limit, timeout_seconds))
        try:
            messages = await asyncio.shield(pull)
        except asyncio.CancelledError:
            pull.add_done_callback(_give_back)
            raise
        return [JetStreamDelivery(message) for message in messages]

    async def backlog(self) -> Backlog:
        """Ask the server for the consumer's state."""
        with translated("consumer info"):
            info = await self._js.consumer_info(await self._stream(), self._names.durable)
        return Backlog(info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0)

    async def close(self) -> None:
        """Give up the subscription; the consumer stays."""
        if self._subscription is not None:
            with suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _pull(self, subscription: _Context.PullSubscription, limit: int, timeout_seconds: float) -> list[Msg]:
        try:
            return await subscription.fetch(limit, timeout=timeout_seconds)
        except TimeoutError:
            return []
        except (nats.errors.Error, OSError) as error:
            await self.close()
            raise MessagingUnavailableError(f"NATS, fetch: {str(error) or 'the consumer does not answer'}") from error

    async def _bound(self) -> _Context.PullSubscription:
        """Return the subscription, after looking that the consumer is really there."""
        if self._subscription is None:
            stream = await self._stream()
            try:
                with translated("consumer"):
                    await self._js.consumer_info(stream, self._names.durable)
                    self._subscription = await self._js.pull_subscribe_bind(self._names.durable, stream)
            except MessagingUnavailableError as error:
                if isinstance(error.__cause__, nats.js.errors.NotFoundError):
                    message = (
                        f"there is no consumer {self._names.durable} on stream {stream}: run `facematch provision`"
                    )
                    raise MessagingUnavailableError(message) from error
                raise
        return self._subscription

    async def _stream(self) -> str:
        """Return the stream that holds the subject, whoever made it."""
        try:
            with translated("stream"):
                return await self._js.find_stream_name_by_subject(self._names.subject)
        except MessagingUnavailableError as error:
            if isinstance(error.__cause__, nats.js.errors.NotFoundError):
                message = f"no stream holds the subject {self._names.subject}: run `facematch provision`"
                raise MessagingUnavailableError(message) from error
            raise


def _give_back(pull: asyncio.Task[list[Msg]]) -> None:
    """Return messages that arrived for nobody; the loop holds the tasks until they are sent."""
    if pull.cancelled() or pull.exception() is not None:
        return
    for message in pull.result():
        task = asyncio.ensure_future(message.nak())
        task.add_done_callback(lambda done: done.exception())

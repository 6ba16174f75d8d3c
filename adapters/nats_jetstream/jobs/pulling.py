"""Pull requests to a consumer, in JetStream's own protocol.

The client has a ``fetch``, but it takes every message with a header ``Status`` for the server's own: a job whose
publisher set one would be swallowed at each delivery, for ever. Here a job is what has a receipt.
"""

import asyncio
import json
from contextlib import suppress

import attrs
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.jobs.delivery import JetStreamDelivery
from adapters.nats_jetstream.jobs.pull_protocol import is_heartbeat, next_subject, refusal
from adapters.nats_jetstream.jobs.stream_incarnation import StreamIncarnation
from domain.errors import MessagingUnavailableError

_HEARTBEAT_SECONDS = 1.0
_SILENCE_SECONDS = 3.0
_MARGIN_SECONDS = 1.0
_DRAIN_SECONDS = 2.0
_SETTLE_SECONDS = 0.05
"""A server that is still answering a request when the inbox is given up may send the jobs after it has confirmed that,
when the client drops them: nobody would have them until their time runs out."""
_SHORTEST_WAIT_SECONDS = 0.005
_NANOSECONDS = 1_000_000_000


class PullRefusedError(MessagingUnavailableError):
    """The server refused the request; the message says why."""


class SilentConsumerError(MessagingUnavailableError):
    """Nothing came, not even the end of the request: it was lost with a connection."""


@attrs.frozen
class _Request:
    """A request that is open: the subject that its end is told on, what was taken, and what has come since."""

    subject: str
    taken: list[JetStreamDelivery] = attrs.field(factory=list)
    arrivals: asyncio.Queue[JetStreamDelivery | Msg] = attrs.field(factory=asyncio.Queue)

    def deliveries(self) -> list[JetStreamDelivery]:
        """Return all that has come, whether it was taken or not."""
        while not self.arrivals.empty():
            arrival = self.arrivals.get_nowait()
            if isinstance(arrival, JetStreamDelivery):
                self.taken.append(arrival)
        return self.taken


class PullInbox:
    """The subscription that jobs are pulled into; one pull at a time.

    A pull that is cancelled stays open until the inbox is drained, which returns what has come for it. A job that
    arrives when no pull is open, because the server took too long, is given back at once.
    """

    def __init__(self, client: Client, incarnation: StreamIncarnation, durable: str) -> None:
        self.incarnation = incarnation
        self._client = client
        self._subject = next_subject(incarnation.stream, durable)
        self._inbox = client.new_inbox()
        self._serial = 0
        self._open: _Request | None = None
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Subscribe."""
        with translated("subscribe"):
            self._subscription = await self._client.subscribe(
                f"{self._inbox}.*", cb=self._on_message, pending_bytes_limit=0
            )

    async def close(self) -> None:
        """Unsubscribe at once, whatever is on its way."""
        if self._subscription is not None:
            with suppress(MessagingUnavailableError), translated("unsubscribe"):
                await self._subscription.unsubscribe()

    async def drain(self) -> list[JetStreamDelivery]:
        """Let the server end every request; return what a cancelled pull took, and what was on its way.

        That may be more than it asked for, where deliveries of an earlier request came late.
        """
        if self._subscription is not None and self._client.is_connected:
            with suppress(MessagingUnavailableError, TimeoutError), translated("drain"):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    if self._open is not None:
                        await asyncio.sleep(_SETTLE_SECONDS)
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py leaves it untyped
        request, self._open = self._open, None
        return [] if request is None else request.deliveries()

    async def pull(self, limit: int, *, timeout_seconds: float) -> list[JetStreamDelivery]:
        """Return up to ``limit`` deliveries as soon as there are any, or none after the timeout.

        Raises:
            PullRefusedError: the consumer is gone, or does not grant such a request.
            SilentConsumerError: no answer at all.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        deliveries = await self._ask(limit, timeout_seconds, wait=False)
        left = deadline - loop.time()
        if not deliveries and left > _SHORTEST_WAIT_SECONDS:
            # others were faster, or the consumer holds back: without waiting it would be asked again and again
            deliveries = await self._ask(1, left, wait=True)
        return deliveries

    async def _ask(self, limit: int, seconds: float, *, wait: bool) -> list[JetStreamDelivery]:
        """Make one request; unless ``wait``, it ends as soon as what there is has been delivered."""
        self._serial += 1
        request = self._open = _Request(f"{self._inbox}.{self._serial}")
        asked: dict[str, object] = {"batch": limit, "expires": int(seconds * _NANOSECONDS), "no_wait": not wait}
        patience = seconds + _MARGIN_SECONDS
        if seconds >= 2 * _HEARTBEAT_SECONDS:
            asked["idle_heartbeat"] = int(_HEARTBEAT_SECONDS * _NANOSECONDS)
            patience = _SILENCE_SECONDS
        try:
            with translated("fetch"):
                await self._client.publish(self._subject, json.dumps(asked).encode(), reply=request.subject)
            await _collect(request, limit, patience)
        except Exception:
            await self._end(request)
            raise
        await self._end(request)
        return request.taken

    async def _end(self, request: _Request) -> None:
        """Give back deliveries that arrived but were not taken; later ones are given back on arrival."""
        while not request.arrivals.empty():
            await _give_back(request.arrivals.get_nowait())
        self._open = None

    async def _on_message(self, message: Msg) -> None:
        arrival = JetStreamDelivery.of(self._client, message, self.incarnation) or message
        if self._open is None or (arrival is message and message.subject != self._open.subject):
            await _give_back(arrival)
        else:
            self._open.arrivals.put_nowait(arrival)


async def _collect(request: _Request, limit: int, patience: float) -> None:
    """Take what arrives until there is enough of it, or the request is over."""
    taken = request.taken
    while len(taken) < limit:
        try:
            async with asyncio.timeout(patience):
                arrival = await request.arrivals.get()
        except TimeoutError as error:
            if taken:
                return
            raise SilentConsumerError("NATS, fetch: the server does not answer") from error
        if isinstance(arrival, JetStreamDelivery):
            taken.append(arrival)
        elif not is_heartbeat(arrival):
            if (why := refusal(arrival)) and not taken:
                raise PullRefusedError(f"NATS, fetch: {why}")
            return


async def _give_back(arrival: JetStreamDelivery | Msg) -> None:
    if isinstance(arrival, JetStreamDelivery):
        await arrival.give_back()

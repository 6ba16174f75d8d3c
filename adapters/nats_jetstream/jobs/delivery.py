"""One delivery of one message, and the subject that it is acknowledged on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self

import attrs
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.nats_jetstream.connection.asking import connected, retry_once
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.headers import replayed_trace_context, trace_context
from adapters.nats_jetstream.jobs.stream_incarnation import StreamIncarnation
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = ["$JS", "ACK"]
_SHORT_FORM = 9
_LONG_FORM = 11
_NANOSECONDS = 1_000_000_000
_NAK = b"-NAK"
_SIZE_OF_WHAT_IS_LEFT_OUT = "Nats-Msg-Size"


@attrs.frozen
class Receipt:
    """What the reply subject of a delivered message says: which job it is, and how often it was delivered.

    The subject is ``$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<stored ns>.<pending>``;
    servers with domains put ``<domain>.<account>.`` before the stream.
    """

    key: JobKey
    number: int

    @classmethod
    def of(cls, reply: str) -> Self | None:
        """Return the receipt, or None where the message was not delivered by JetStream.

        The stored time is cut to microseconds, as the server's own answers are read: rounding it would give
        one job two keys.
        """
        tokens = reply.split(".")
        if tokens[:2] != _PREFIX or not (len(tokens) == _SHORT_FORM or len(tokens) >= _LONG_FORM):
            return None
        start = 4 if len(tokens) == _SHORT_FORM else 6
        try:
            number, sequence, _, nanoseconds = map(int, tokens[start : start + 4])
        except ValueError:
            return None
        return cls(JobKey(sequence, _EPOCH + timedelta(microseconds=nanoseconds // 1000)), number)


class JetStreamDelivery:
    """One message as it was delivered."""

    def __init__(self, client: Client, message: Msg, receipt: Receipt, incarnation: StreamIncarnation) -> None:
        self._client = client
        self._message = message
        self._receipt = receipt
        self._incarnation = incarnation
        self._seen = incarnation.observation()

    @classmethod
    def of(cls, client: Client, message: Msg, incarnation: StreamIncarnation) -> Self | None:
        """Return the delivery, or None for what the server itself has to say."""
        receipt = Receipt.of(message.reply)
        return None if receipt is None else cls(client, message, receipt, incarnation)

    @property
    def key(self) -> JobKey:
        """Stream sequence and stored time."""
        return self._receipt.key

    @property
    def number(self) -> int:
        """The server's count of deliveries."""
        return self._receipt.number

    @property
    def subject(self) -> str:
        """What it was published on."""
        return self._message.subject

    @property
    def is_whole(self) -> bool:
        """False where the body was left out, unless the publisher only pretends it."""
        return bool(self.body) or _SIZE_OF_WHAT_IS_LEFT_OUT not in self.headers

    @property
    def body(self) -> bytes:
        """The message's data."""
        return self._message.data

    @property
    def headers(self) -> Mapping[str, str]:
        """The message's headers."""
        return self._message.headers or {}

    @property
    def trace_context(self) -> Mapping[str, str]:
        """From the headers, however their names are written."""
        return trace_context(self.headers)

    @property
    def replayed_trace_context(self) -> Mapping[str, str]:
        """From headers of the service's own."""
        return replayed_trace_context(self.headers)

    async def ack(self) -> None:
        """Acknowledge, and wait until the server has confirmed."""
        await self._settle("ack", b"+ACK")

    async def retry(self, *, after_seconds: float) -> None:
        """Negatively acknowledge with a delay, and wait until the server has confirmed."""
        delay = {"delay": round(after_seconds * _NANOSECONDS)}
        await self._settle("nak", _NAK + b" " + json.dumps(delay).encode() if after_seconds > 0 else _NAK)

    async def terminate(self, reason: str) -> None:
        """Terminate with the reason, which the server puts into its advisory, and wait for its confirmation."""
        await self._settle("term", b"+TERM " + reason.encode(errors="replace"))

    async def keep_alive(self) -> None:
        """Start the acknowledgement's time again; said for nothing, it is not said later."""
        if not self._client.is_connected:
            raise MessagingUnavailableError("NATS, in progress: not connected")
        with translated("in progress"):
            await self._client.publish(self._message.reply, b"+WPI")

    async def give_back(self) -> None:
        """Negatively acknowledge without waiting; where that fails, or without a connection, its time runs out."""
        if not self._client.is_connected:
            return
        with suppress(MessagingUnavailableError), translated("nak"):
            await self._client.publish(self._message.reply, _NAK)

    async def _settle(self, what: str, payload: bytes) -> None:
        """Send what ends the job, once more where nobody answers; each time on a connection, and to its own stream."""

        async def send(seconds: float) -> None:
            await connected(self._client, seconds)
            await self._incarnation.check(self._seen)
            await self._client.request(self._message.reply, payload, timeout=seconds)

        with translated(what):
            await retry_once(send)

"""Which photos have a job in flight: what the stream holds above all that the consumer has behind it."""

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from uuid import UUID, uuid4

import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.nats_jetstream.connection.asking import PATIENCE_SECONDS, jetstream, patiently, retry_once
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import consumer_of, stream_of
from adapters.nats_jetstream.jobs.delivery import Receipt
from adapters.nats_jetstream.jobs.payload import photo_of
from adapters.nats_jetstream.jobs.photo_ids import PhotoIds
from adapters.nats_jetstream.jobs.pull_protocol import next_subject, refusal
from adapters.nats_jetstream.names import BrokerNames
from application.ports.jobs_in_flight import InFlight
from domain.errors import MessagingUnavailableError

_SILENCE_SECONDS = 10.0
_BATCH = 2_000
_BATCH_BYTES = 16 * 1024 * 1024
_FORGOTTEN_SECONDS = 300.0
_TRIES = 3
_LOOKS = 100
_SECONDS_BETWEEN_LOOKS = 0.05


class _ReaderGoneError(Exception):
    """The consumer that reads is not there any more, or does not answer."""


class JetStreamJobsInFlight:
    """Reads the stream with a consumer of its own, which acknowledges nothing and is forgotten by the server.

    Jobs up to the service's consumer's ack floor are done. All above it count as in flight, finished or not, because
    acknowledgements may be out of order. Once the stream is found, what gets no answer is asked again for
    ``patience_seconds``.
    """

    def __init__(self, client: Client, names: BrokerNames, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._client = client
        self._js = jetstream(client)
        self._names = names
        self._patience_seconds = patience_seconds
        self._photos = PhotoIds()
        self._stream = ""
        self._position = 0
        self._reader: _Reader | None = None

    async def begin(self) -> None:
        """Read all that lies above the ack floor."""
        self._stream = await stream_of(self._js, self._names.subject)
        info = await consumer_of(self._js, self._stream, self._names.durable)
        self._position = info.ack_floor.stream_seq if info.ack_floor else 0
        await self._look()

    async def among(self, photos: Collection[UUID], *, look_again: bool = True) -> InFlight:
        """Read what is new, and look the photos up in everything that was read."""
        if look_again:
            await self._look()
        return InFlight(self._photos.among(photos), self._position)

    async def _look(self) -> None:
        """Read until the last job that is stored now has come."""
        for _ in range(_LOOKS):
            last_of_all, last = await patiently(self._ends, self._patience_seconds)
            await patiently(self._read_on, self._patience_seconds)
            if self._position >= last:
                self._position = max(self._position, last_of_all)
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        raise MessagingUnavailableError(f"NATS, read the stream {self._stream}: what was stored last does not come")

    async def _ends(self) -> tuple[int, int]:
        """Return the number of the stream's last message, and that of its last job.

        Of a cluster's servers the one that leads the stream answers; the one that reads may be a little behind it.
        """
        with translated("stream info"):
            last_of_all = (await self._js.stream_info(self._stream)).state.last_seq
            try:
                return last_of_all, (await self._js.get_last_msg(self._stream, self._names.subject)).seq or 0
            except nats.js.errors.NotFoundError:
                return last_of_all, 0

    async def _read_on(self) -> None:
        """Read to the end of what there is, with another reader where the server has forgotten the last one."""
        for tries_left in reversed(range(_TRIES)):
            try:
                await self._read()
            except _ReaderGoneError as error:
                await self._forget_reader()
                if not tries_left:
                    raise MessagingUnavailableError(f"NATS, read the stream {self._stream}: {error}") from error
            else:
                return

    async def _read(self) -> None:
        """Read what the stream holds above the position, to its end."""
        if self._reader is None:
            self._reader = await _Reader.open(self._client, self._stream, self._names.subject, self._position + 1)
        while messages := await self._reader.next():
            for sequence, body in messages:
                photo = photo_of(body)
                if photo is not None:
                    self._photos.add(photo)
                self._position = sequence

    async def _forget_reader(self) -> None:
        if self._reader is not None:
            await self._reader.close()
            self._reader = None


class _Reader:
    """An ephemeral consumer that is asked for one batch at a time."""

    def __init__(self, client: Client, subject: str) -> None:
        self._client = client
        self._subject = subject
        self._inbox = client.new_inbox()
        self._serial = 0
        self._batch_bytes = max(_BATCH_BYTES, 2 * client.max_payload)
        self._arrivals: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None

    @classmethod
    async def open(cls, client: Client, stream: str, subject: str, start: int) -> "_Reader":
        """Make the consumer, which begins with the job of that number."""
        name = f"facematch-reader-{uuid4().hex[:12]}"
        config = ConsumerConfig(
            name=name,
            description="facematch looks for jobs in flight",
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            filter_subject=subject,
            inactive_threshold=_FORGOTTEN_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        js = jetstream(client)
        with translated("make a consumer to read with"):
            await retry_once(lambda seconds: js.add_consumer(stream, config, timeout=seconds))
            reader = cls(client, next_subject(stream, name))
            reader._subscription = await client.subscribe(
                f"{reader._inbox}.*", cb=reader._arrivals.put, pending_bytes_limit=0
            )
        return reader

    async def close(self) -> None:
        """Unsubscribe; the server forgets the consumer by itself."""
        if self._subscription is not None:
            with suppress(MessagingUnavailableError), translated("unsubscribe"):
                await self._subscription.unsubscribe()

    async def next(self) -> list[tuple[int, bytes]]:
        """Return numbers and bodies of the next messages; none where there are no more.

        Raises:
            _ReaderGoneError: the server has forgotten the consumer, or does not answer.

        """
        self._serial += 1
        reply = f"{self._inbox}.{self._serial}"
        asked = {"batch": _BATCH, "max_bytes": self._batch_bytes, "no_wait": True}
        with translated("read"):
            await self._client.publish(self._subject, json.dumps(asked).encode(), reply=reply)
        messages: list[tuple[int, bytes]] = []
        while len(messages) < _BATCH:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    arrival = await self._arrivals.get()
            except TimeoutError as error:
                raise _ReaderGoneError("no answer") from error
            receipt = Receipt.of(arrival.reply)
            if receipt is not None:
                messages.append((receipt.key.sequence, arrival.data))
            elif arrival.subject == reply:  # the end of an earlier batch may come late
                if (why := refusal(arrival)) and not messages:
                    raise _ReaderGoneError(why)
                break
        return messages

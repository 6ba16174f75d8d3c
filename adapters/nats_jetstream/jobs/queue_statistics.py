"""The state of the consumer, for people: one look, no job is touched."""

from datetime import datetime

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from adapters.nats_jetstream.connection.asking import jetstream
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import NO_MESSAGE, consumer_of, stream_of
from adapters.nats_jetstream.names import BrokerNames
from application.ports.statistics import QueueState


class JetStreamQueueStatistics:
    """Asks for the consumer's state, and reads the oldest job that is not settled for its time."""

    def __init__(self, client: Client, names: BrokerNames) -> None:
        self._js = jetstream(client)
        self._names = names

    async def look(self) -> QueueState:
        """Ask the server twice or three times."""
        stream = await stream_of(self._js, self._names.subject)
        info = await consumer_of(self._js, stream, self._names.durable)
        with translated("queue"):
            return QueueState(
                pending=info.num_pending or 0,
                ack_pending=info.num_ack_pending or 0,
                redelivered=info.num_redelivered or 0,
                most_in_hand=max(0, info.config.max_ack_pending or 0),
                asking=info.num_waiting or 0,
                paused=bool(info.paused),
                ever_delivered=info.delivered is not None and info.delivered.stream_seq > 0,
                oldest=await self._oldest(stream, info),
            )

    async def _oldest(self, stream: str, info: ConsumerInfo) -> datetime | None:
        """Return when the first job beyond the floor was stored: all up to it are settled, and it is not.

        None also where it cannot be read: to whoever may not, the server does not answer.
        """
        if not info.num_pending and not info.num_ack_pending:
            return None
        floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
        try:
            return (await self._js.get_msg(stream, floor + 1, subject=self._names.subject, next=True)).time
        except nats.errors.TimeoutError:
            return None
        except nats.js.errors.APIError as error:
            if error.err_code == NO_MESSAGE:  # settled, or deleted, since the consumer was asked
                return None
            raise

"""Single jobs, read from their stream."""

import nats.js.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection.asking import jetstream
from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.connection.finding import NO_MESSAGE, stream_of
from adapters.nats_jetstream.names import BrokerNames
from domain.jobs import JobKey


class JetStreamJobArchive:
    """The stream of jobs; where it was made anew, a sequence belongs to another job, of another time."""

    def __init__(self, client: Client, names: BrokerNames) -> None:
        self._js = jetstream(client)
        self._names = names

    async def find(self, key: JobKey) -> bytes | None:
        """Read the message of that sequence, and look at its time."""
        stream = await stream_of(self._js, self._names.subject)
        with translated("read a job"):
            try:
                message = await self._js.get_msg(stream, key.sequence)
            except nats.js.errors.APIError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise
        return message.data or b"" if message.time == key.stored_at else None

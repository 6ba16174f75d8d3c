"""Whether a stream is still the one that a job came from; another of its name gives the same numbers to other jobs."""

import asyncio
from datetime import datetime
from typing import Final, Self

import attrs
import nats.js.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection.asking import jetstream, retry_once
from adapters.nats_jetstream.connection.errors import translated
from application.single_flight import SingleFlight
from domain.errors import MessagingUnavailableError

TRUST_SECONDS: Final = 1.0


@attrs.frozen
class Observation:
    """When the stream was there, and on which connection."""

    at: float
    connection: int


class StreamIncarnation:
    """A stream from when it was made until it is deleted.

    An acknowledgement names its job by the name of the stream and a number in it. Sent to another stream of that name
    it would end a job that nobody has done. What was seen in the last ``trust_seconds`` is trusted, so that jobs that
    are done fast cost no question; then the server is asked, once for all jobs in hand.
    """

    def __init__(
        self, client: Client, stream: str, made: datetime | None, *, trust_seconds: float = TRUST_SECONDS
    ) -> None:
        self.stream = stream
        self.is_over = False
        self._client = client
        self._made = made
        self._trust_seconds = trust_seconds
        self._invalidations = 0
        self._seen = self.observation()
        self._looking = SingleFlight[None, None]()

    @classmethod
    async def current(cls, client: Client, stream: str, *, trust_seconds: float) -> Self:
        """Return the incarnation that the stream is in now."""
        with translated("stream info"):
            info = await jetstream(client).stream_info(stream)
        return cls(client, stream, info.created, trust_seconds=trust_seconds)

    def observation(self) -> Observation:
        """Return that the stream is there now."""
        return Observation(asyncio.get_running_loop().time(), self._connection())

    def invalidate(self) -> None:
        """Trust nothing that was seen until now."""
        self._invalidations += 1

    async def check(self, seen: Observation) -> None:
        """Return if the stream is the one that it was at that observation.

        Raises:
            MessagingUnavailableError: it is not, or there is no answer.

        """
        if not self.is_over and not self._is_fresh(seen) and not self._is_fresh(self._seen):
            await self._looking.do(None, self._look)
        if self.is_over:
            raise MessagingUnavailableError(f"the stream {self.stream} that held this job was deleted")

    async def _look(self) -> None:
        observation = self.observation()
        with translated("stream info"):
            try:
                info = await retry_once(
                    lambda seconds: self._client.jetstream(timeout=seconds).stream_info(self.stream)
                )
                self.is_over = info.created != self._made
            except nats.js.errors.NotFoundError:
                self.is_over = True
        self._seen = observation

    def _is_fresh(self, seen: Observation) -> bool:
        age = asyncio.get_running_loop().time() - seen.at
        return seen.connection == self._connection() and age < self._trust_seconds

    def _connection(self) -> int:
        """Return a number that is another one after each loss of the connection, and each invalidation."""
        return int(self._client.stats["reconnects"]) + self._invalidations

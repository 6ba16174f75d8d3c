"""Publishing many jobs in the place of lost ones, or for another look."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import nats.js.errors
from nats.aio.client import Client
from nats.js.api import PubAck

from adapters.nats_jetstream.connection.asking import PATIENCE_SECONDS, patiently
from adapters.nats_jetstream.headers import MESSAGE_ID
from adapters.nats_jetstream.jobs.payload import encode_job
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.batches import MOST_MESSAGES, Message, publish_batch, takes_batches
from adapters.nats_jetstream.publishing.confirmed import ConfirmedPublisher
from application.concurrency import as_async, for_each_bounded
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob

_BATCHES = 2
_SINGLE_JOBS = 128
"""How many are on their way at once."""
_Item = TypeVar("_Item")


class JetStreamRepublisher(ConfirmedPublisher):
    """Publishes batches where the stream takes them, else single jobs, many on their way at once.

    The stream drops a message whose id it knows: who publishes for a photo at the same time says the same id. It
    knows ids for hours, though, and a job that was published in this way may have been lost, or be done, since. So
    where it knows the id from a job that is behind everybody, the next id names that job.

    What is not confirmed is published again for ``patience_seconds``. It may have been stored: a job that is known
    then counts as published here.
    """

    def __init__(self, client: Client, names: BrokerNames, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(client, names)
        self._patience_seconds = patience_seconds
        self._in_batches: bool | None = None

    async def takes_batches(self) -> bool:
        """Tell whether the stream takes batches: single jobs take several times as long.

        Raises:
            MessagingUnavailableError: no answer, or no such stream.

        """
        if self._in_batches is None:
            self._in_batches = await takes_batches(self._js, self._names.subject)
        return self._in_batches

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        """Publish some parts at once; the first job that fails ends all."""
        if not await self.takes_batches():
            return await self._publish_singly(jobs, unless_after)

        async def publish_part(part: Sequence[MatchJob]) -> int:
            try:
                await publish_batch(self._client, self._js, self._names.subject, [_message(job) for job in part])
            except MessagingUnavailableError as error:  # one by one it is known which are there, or what is wrong
                return await self._publish_singly(part, unless_after, may_be_stored=not _is_refused(error))
            return len(part)

        parts = (jobs[start : start + MOST_MESSAGES] for start in range(0, len(jobs), MOST_MESSAGES))
        return await _summed(parts, publish_part, concurrency=_BATCHES)

    async def _publish_singly(self, jobs: Sequence[MatchJob], position: int, *, may_be_stored: bool = False) -> int:
        publish_once = partial(self._publish_once, position=position, may_be_stored=may_be_stored)
        return await _summed(jobs, publish_once, concurrency=_SINGLE_JOBS)

    async def _publish_once(self, job: MatchJob, position: int, *, may_be_stored: bool) -> bool:
        """Return whether it was stored now."""
        first = _message(job)
        message_id, known = first.id, 0

        async def publish() -> PubAck:
            nonlocal may_be_stored
            try:
                return await self._publish(self._names.subject, first.body, {MESSAGE_ID: message_id}, again=False)
            except MessagingUnavailableError as error:
                may_be_stored = may_be_stored or not _is_refused(error)
                raise

        while True:
            ack = await patiently(publish, self._patience_seconds)
            if not ack.duplicate:
                return True
            if ack.seq > position or ack.seq <= known:
                return may_be_stored
            message_id, known = f"{first.id}-{ack.seq}", ack.seq


async def _summed(items: Iterable[_Item], do: Callable[[_Item], Awaitable[int]], *, concurrency: int) -> int:
    """Do so many at once and return the sum; the first that fails ends all."""
    counts: list[int] = []

    async def count(item: _Item) -> None:
        counts.append(await do(item))

    await for_each_bounded(as_async(items), count, concurrency=concurrency)
    return sum(counts)


def _message(job: MatchJob) -> Message:
    return Message(f"facematch-again-{job.photo_id}", encode_job(job))


def _is_refused(error: MessagingUnavailableError) -> bool:
    """Tell whether the server says that it did not store what was published; else nobody knows."""
    return isinstance(error.__cause__, nats.js.errors.APIError)

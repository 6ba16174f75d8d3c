"""Publishing result events and jobs."""

from uuid import uuid4

from adapters.nats_jetstream.connection.errors import translated
from adapters.nats_jetstream.headers import MESSAGE_ID
from adapters.nats_jetstream.jobs.payload import encode_job
from adapters.nats_jetstream.publishing.confirmed import ConfirmedPublisher
from adapters.nats_jetstream.publishing.events import encode_event, message_id
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey, MatchJob
from domain.records import JobRecord


class JetStreamResultPublisher(ConfirmedPublisher):
    """Result events."""

    async def publish(self, record: JobRecord) -> None:
        """Publish the record's event; outside of the job's own trace, the record's trace is continued."""
        subject, headers = self._names.result_subject(record.outcome.kind), {MESSAGE_ID: message_id(record)}
        await self._publish(subject, encode_event(record), headers, traceparent=record.traceparent)


class StoredTimeUnreadError(MessagingUnavailableError):
    """The job is stored, with that number, but when it was could not be read."""

    def __init__(self, sequence: int, stream: str, why: Exception) -> None:
        super().__init__(f"the job is stored as number {sequence} of {stream}, but when could not be read: {why}")
        self.sequence = sequence


class JetStreamJobPublisher(ConfirmedPublisher):
    """Jobs, as an application's backend publishes them."""

    async def submit(self, job: MatchJob) -> JobKey:
        """Publish and return the job's place in the stream.

        The stored time is part of a job's identity but not of the stream's confirmation: it is read back.

        Raises:
            StoredTimeUnreadError: the job is stored, but who published it may not read it, or there is no answer.
            MessagingUnavailableError: it is not known to be stored.

        """
        ack = await self._publish(self._names.subject, encode_job(job), {MESSAGE_ID: f"facematch-job-{uuid4()}"})
        try:
            with translated("read back"):
                stored = await self._js.get_msg(ack.stream, ack.seq)
        except MessagingUnavailableError as error:
            raise StoredTimeUnreadError(ack.seq, ack.stream, error) from error
        if stored.time is None:
            raise TypeError("a stored message has a time")
        return JobKey(ack.seq, stored.time)

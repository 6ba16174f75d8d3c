"""Publishing result events and jobs."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import nats.js.errors
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.events import encode_event, message_id
from adapters.nats_jetstream.payload import encode_job
from adapters.nats_jetstream.publishing import MESSAGE_ID, ConfirmedPublisher
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey, MatchJob
from domain.records import JobRecord

_LANES = 128
_DUPLICATE_IN_PROCESS = 10158


class JetStreamResultPublisher(ConfirmedPublisher):
    """Result events."""

    async def publish(self, record: JobRecord) -> None:
        """Publish the record's event; outside of the job's own trace, the record's trace is continued."""
        token = None
        if not trace.get_current_span().get_span_context().is_valid and record.traceparent:
            carrier = {"traceparent": record.traceparent}
            token = context.attach(TraceContextTextMapPropagator().extract(carrier))
        try:
            subject = self._names.result_subject(record.outcome.kind)
            await self._publish(subject, encode_event(record), {MESSAGE_ID: message_id(record)})
        finally:
            if token is not None:
                context.detach(token)


class JetStreamJobPublisher(ConfirmedPublisher):
    """Jobs, as an application's backend publishes them."""

    async def submit(self, job: MatchJob) -> JobKey:
        """Publish and return the job's place in the stream.

        The stored time is part of a job's identity but not of the stream's confirmation: it is read back.
        """
        ack = await self._publish(self._names.subject, encode_job(job), {MESSAGE_ID: f"facematch-job-{uuid4()}"})
        try:
            with translated("read back"):
                stored = await self._js.get_msg(ack.stream, ack.seq)
        except MessagingUnavailableError as error:
            message = f"the job is stored as number {ack.seq} of {ack.stream}, but when could not be read: {error}"
            raise MessagingUnavailableError(message) from error
        if stored.time is None:
            raise TypeError("a stored message has a time")
        return JobKey(ack.seq, stored.time)


class JetStreamRepublisher(ConfirmedPublisher):
    """Jobs in the place of lost ones, many on their way at once.

    The stream drops a message whose id it knows: who publishes for a photo at the same time says the same id. It
    knows ids for hours, though, and a job that was published in this way may have been lost again. So where it knows
    the id from a job that is behind everybody, the next id names that job.
    """

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        """Publish in lanes that share the jobs; the first that fails ends all."""
        remaining = iter(jobs)

        async def lane() -> int:
            return sum([await self._publish_once(job, unless_after) for job in remaining])

        try:
            async with asyncio.TaskGroup() as group:
                lanes = [group.create_task(lane()) for _ in range(_LANES)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return sum(task.result() for task in lanes)

    async def _publish_once(self, job: MatchJob, position: int) -> bool:
        message_id, known = f"facematch-again-{job.photo_id}", 0
        while True:
            try:
                ack = await self._publish(self._names.subject, encode_job(job), {MESSAGE_ID: message_id})
            except MessagingUnavailableError as error:
                if _is_being_stored(error.__cause__):
                    return False
                raise
            if not ack.duplicate:
                return True
            if ack.seq > position or ack.seq <= known:
                return False
            message_id, known = f"facematch-again-{job.photo_id}-{ack.seq}", ack.seq


def _is_being_stored(cause: BaseException | None) -> bool:
    """Tell whether a cluster refuses a message because it is storing one of that id at this moment."""
    return isinstance(cause, nats.js.errors.APIError) and cause.err_code == _DUPLICATE_IN_PROCESS

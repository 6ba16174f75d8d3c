"""Publishing result events, dead letters and jobs, each confirmed by the stream."""

import re

import nats.js.api
from nats.aio.client import Client
from opentelemetry import context, propagate, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.nats_jetstream.connection import translated
from adapters.nats_jetstream.events import encode_event, message_id
from adapters.nats_jetstream.names import Names
from adapters.nats_jetstream.payload import encode_job
from application.ports.job_queue import Delivery
from domain.jobs import JobKey, MatchJob
from domain.records import JobRecord, Matched

_TRACER = trace.get_tracer("facematch.nats")
_CONFIRM_SECONDS = 5.0
_MAX_HEADER = 500
_UNSAFE = re.compile(r"[^\x20-\x7e]+")


class _Publisher:
    def __init__(self, client: Client, names: Names) -> None:
        self._js = client.jetstream(timeout=_CONFIRM_SECONDS)
        self._names = names

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> nats.js.api.PubAck:
        """Publish within a PRODUCER span and wait for the stream's confirmation."""
        attributes: dict[str, str | int] = {
            "messaging.system": "nats",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": subject,
            "messaging.message.body.size": len(body),
        }
        if "Nats-Msg-Id" in headers:
            attributes["messaging.message.id"] = headers["Nats-Msg-Id"]
        with (
            _TRACER.start_as_current_span(
                f"publish {subject}", kind=trace.SpanKind.PRODUCER, attributes=attributes, record_exception=False
            ),
            translated(f"publish {subject}"),
        ):
            propagate.inject(headers)
            return await self._js.publish(subject, body, headers=headers, timeout=_CONFIRM_SECONDS)


class JetStreamResultPublisher(_Publisher):
    """Result events."""

    async def publish(self, record: JobRecord) -> None:
        """Publish the record's event; outside of the job's own trace, the record's trace is continued."""
        token = None
        if not trace.get_current_span().get_span_context().is_valid and record.traceparent:
            carrier = {"traceparent": record.traceparent}
            token = context.attach(TraceContextTextMapPropagator().extract(carrier))
        try:
            subject = self._names.result_subject(record.outcome.kind)
            await self._publish(subject, encode_event(record), {"Nats-Msg-Id": message_id(record)})
        finally:
            if token is not None:
                context.detach(token)


class JetStreamDeadLetters(_Publisher):
    """Copies of jobs that were given up."""

    async def bury(self, delivery: Delivery, record: JobRecord) -> None:
        """Store body and headers as they came, with what became of the job."""
        headers = {}
        for name, value in delivery.headers.items():
            reserved = name.lower().startswith("nats-")
            headers[f"Facematch-Original-{name}" if reserved else name] = value
        outcome = record.outcome
        headers |= {
            "Nats-Msg-Id": f"facematch-dead-{record.key}",
            "Facematch-Reason": str(outcome.reason),
            "Facematch-Deliveries": str(delivery.number),
            "Facematch-Stream-Seq": str(delivery.key.sequence),
            "Facematch-Error": _header_text("" if isinstance(outcome, Matched) else outcome.detail),
        }
        with translated("dead letter"):
            await self._js.publish(self._names.dead_subject, delivery.body, headers=headers, timeout=_CONFIRM_SECONDS)


class JetStreamJobPublisher(_Publisher):
    """Jobs, as an application's backend publishes them."""

    async def submit(self, job: MatchJob) -> JobKey:
        """Publish and return the job's place in the stream; the time is the stream's."""
        ack = await self._publish(self._names.subject, encode_job(job), {})
        with translated("read back"):
            message = await self._js.get_msg(ack.stream, ack.seq)
        if message.time is None:
            raise TypeError("a stored message has a time")
        return JobKey(ack.seq, message.time)


def _header_text(text: str) -> str:
    """Return one line of printable ASCII, of bounded length."""
    return _UNSAFE.sub(" ", text)[:_MAX_HEADER].strip()

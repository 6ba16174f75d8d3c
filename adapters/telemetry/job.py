"""Opens the traces of deliveries, and tells what happens to the worker."""

import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job_trace import OtelJobTrace
from adapters.telemetry.line import CanonicalLine
from application.ports.job_queue import Delivery

_LOG = structlog.get_logger("facematch")
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelTelemetry:
    """Opens the traces of deliveries and tells what happens to the worker's dependencies.

    ``subject`` and ``durable`` are what the queue is called; ``worker`` is this process's name and ``embedder`` the
    id of its pipeline.
    """

    def __init__(
        self,
        instruments: Instruments,
        *,
        subject: str,
        durable: str,
        worker: str,
        embedder: str | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._instruments = instruments
        self._subject = subject
        self._durable = durable
        self._worker = worker
        self._embedder = embedder
        self._tracer = tracer or trace.get_tracer("facematch")

    @contextmanager
    def job(self, delivery: Delivery) -> Iterator[OtelJobTrace]:
        """Continue the publisher's trace, for every delivery; of a job that was sent again, link to the original's."""
        started, started_ns = time.perf_counter(), time.time_ns()
        parent = _PROPAGATOR.extract(delivery.trace_context, context=Context())
        publisher = trace.get_current_span(parent).get_span_context()
        replayed = _PROPAGATOR.extract(delivery.replayed_trace_context, context=Context())
        original = trace.get_current_span(replayed).get_span_context()
        if delivery.number > 1:
            self._instruments.redeliveries.add(1)
        else:
            self._waited(delivery, parent, publisher, started_ns)
        span = self._tracer.start_span(
            f"process {self._subject}",
            context=parent,
            kind=SpanKind.CONSUMER,
            start_time=started_ns,
            attributes=self._attributes(delivery),
            links=[Link(other) for other in (publisher, original) if other.is_valid],
        )
        job_trace = OtelJobTrace(
            span,
            self._tracer,
            self._instruments,
            CanonicalLine(job=str(delivery.key), delivery=delivery.number, embedder=self._embedder),
            self._messaging("ack", "settle"),
        )
        self._instruments.in_flight.add(1)
        try:
            with (
                structlog.contextvars.bound_contextvars(photo_id=None, job_id=None, **_ids(span)),
                trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False),
            ):
                try:
                    yield job_trace
                except BaseException as error:
                    job_trace.interrupted(error)
                    raise
                finally:
                    job_trace.finish(time.perf_counter() - started)
        finally:
            self._instruments.in_flight.add(-1)

    def dependency_down(self, dependency: str, reason: str) -> None:
        """Say once that the worker pauses."""
        self._instruments.outages.add(1, {"dependency": dependency})
        of_the_worker(_LOG.error, "dependency down", action="dependency_down", dependency=dependency, detail=reason)

    def dependency_up(self, dependency: str, *, after_seconds: float) -> None:
        """Say that work goes on."""
        seconds = round(after_seconds, 3)
        of_the_worker(_LOG.info, "dependency up", action="dependency_up", dependency=dependency, after_seconds=seconds)

    def orphans_published(self, count: int) -> None:
        """Say that a dead worker's events were published."""
        self._instruments.orphans.add(count)
        of_the_worker(_LOG.warning, "orphaned events published", action="orphans_published", count=count)

    def search_is_slow(self, users: int) -> None:
        """Say what to do about it."""
        told = f"{users} users are compared with one by one: `facematch index` makes searches faster"
        of_the_worker(_LOG.warning, told, action="search_is_slow", count=users)

    def unexpected(self, error: Exception) -> None:
        """Log the stack trace of an error that is a defect."""
        of_the_worker(_LOG.error, "unexpected error", action="unexpected_error", exc_info=error)

    def _attributes(self, delivery: Delivery) -> dict[str, str | int]:
        return {
            **self._messaging("process", "process"),
            "messaging.message.id": str(delivery.key),
            "messaging.message.body.size": len(delivery.body),
            "messaging.client.id": self._worker,
            "facematch.delivery": delivery.number,
        }

    def _messaging(self, name: str, kind: str) -> dict[str, str]:
        return {
            "messaging.system": "nats",
            "messaging.operation.name": name,
            "messaging.operation.type": kind,
            "messaging.destination.name": self._subject,
            "messaging.consumer.group.name": self._durable,
        }

    def _waited(self, delivery: Delivery, parent: Context, publisher: SpanContext, now_ns: int) -> None:
        """Tell the time between the job's storing and its first delivery.

        The span begins before the ``process`` span and ends with its beginning, so it cannot be a child of that one:
        it stands beside it, under the publisher's, and is left out where the publisher has none.
        """
        stored_ns = min(int(delivery.key.stored_at.timestamp() * 1e9), now_ns)
        self._instruments.queue_wait.record((now_ns - stored_ns) / 1e9)
        if publisher.is_valid:
            wait = self._tracer.start_span(
                "queue wait",
                context=parent,
                start_time=stored_ns,
                attributes={
                    "messaging.system": "nats",
                    "messaging.destination.name": self._subject,
                    "messaging.message.id": str(delivery.key),
                },
            )
            wait.end(now_ns)


def _ids(span: Span) -> dict[str, str]:
    identity = span.get_span_context()
    if not identity.is_valid:
        return {}
    return {"trace_id": format_trace_id(identity.trace_id), "span_id": format_span_id(identity.span_id)}


def of_the_worker(log: Callable[..., object], event: str, **fields: object) -> None:
    """Log a line that belongs to no job, although a job may be what noticed it."""
    contextvars.Context().run(log, event, **fields)

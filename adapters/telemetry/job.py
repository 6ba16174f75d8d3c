"""One delivery seen from outside: its trace, its figures and its one line in the log."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id

from adapters.telemetry.instruments import Instruments
from application.ports.job_queue import Delivery
from domain.faces import StageTiming
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import Failed, JobRecord, Matched

_TRACER = trace.get_tracer("facematch")
_LOG = structlog.get_logger("facematch")


class OtelJobTrace:
    """The trace of one delivery; use it within the ``with`` block that opened it."""

    def __init__(self, span: Span, instruments: Instruments, fields: dict[str, Any]) -> None:
        self._span = span
        self._instruments = instruments
        self._fields = fields
        self._stages: dict[str, float] = {}
        self._level = "error"

    @property
    def traceparent(self) -> str | None:
        """The header of the delivery's own span."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(self._span))
        return carrier.get("traceparent")

    def identify(self, job: MatchJob | MalformedJob) -> None:
        """Put the photo's and the job's ids on span and log lines."""
        for name, value in (("photo_id", job.photo_id), ("job_id", job.job_id)):
            self._fields[name] = str(value) if value else None
            if value:
                self._span.set_attribute(f"facematch.{name}", str(value))
                structlog.contextvars.bind_contextvars(**{name: str(value)})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Make a child span current while the stage runs."""
        started = time.perf_counter()
        with _TRACER.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
            try:
                yield
            finally:
                self._took(name, time.perf_counter() - started)

    def stages(self, timings: tuple[StageTiming, ...]) -> None:
        """Make spans of what ran in another process, at the times that it told."""
        for timing in timings:
            span = _TRACER.start_span(
                timing.name, start_time=timing.started_ns, attributes={"process.pid": timing.process_id}
            )
            span.end(timing.ended_ns)
            self._took(timing.name, timing.milliseconds / 1000)

    def concluded(self, record: JobRecord, *, repeated: bool) -> None:
        """Put the outcome on the span and into the line; count it once."""
        outcome = record.outcome
        reason = outcome.reason.value if outcome.reason else None
        self._set(
            "repeated" if repeated else outcome.kind.value,
            "error" if record.dead_lettered else "info",
            outcome=outcome.kind.value,
            reason=reason,
            embedder=record.embedder,
        )
        attributes = {"facematch.outcome": outcome.kind.value, "facematch.embedder": record.embedder}
        if reason:
            attributes["facematch.reason"] = reason
        self._span.set_attributes(attributes)
        if not isinstance(outcome, Matched):
            self._fields["detail"] = outcome.detail
        else:
            self._fields["user_id"] = str(outcome.user_id)
        if not isinstance(outcome, Failed) and outcome.comparison is not None:
            comparison = outcome.comparison
            self._fields |= {
                "distance": comparison.distance,
                "threshold": comparison.threshold,
                "gallery_size": comparison.gallery_size,
                "runner_up_distance": comparison.runner_up_distance,
            }
        if isinstance(outcome, Failed):
            self._span.set_status(Status(StatusCode.ERROR, reason))
            self._span.set_attribute("error.type", str(reason))
        if not repeated:
            self._instruments.jobs.add(1, {"outcome": outcome.kind.value, "reason": reason or ""})
            if record.dead_lettered:
                self._instruments.dead_letters.add(1, {"reason": reason or ""})

    def attempt_failed(self, reason: Reason, detail: str, *, retry_after_seconds: float) -> None:
        """Say that another attempt follows."""
        self._set("retry", "warning", reason=reason.value, detail=detail, retry_after_seconds=retry_after_seconds)
        self._span.set_status(Status(StatusCode.ERROR, reason.value))
        self._span.set_attribute("error.type", reason.value)
        self._instruments.retries.add(1, {"reason": reason.value})

    def unexpected(self, error: Exception) -> None:
        """Log the stack trace of an error that is a defect."""
        _LOG.error("unexpected error", action="unexpected_error", exc_info=error)

    def held(self, dependency: str, reason: str) -> None:
        """Note that the job waits in hand."""
        self._span.add_event("held", {"facematch.dependency": dependency})
        self._instruments.held.add(1, {"dependency": dependency})
        self._fields["held_for"] = dependency
        _LOG.debug("job held", action="held", dependency=dependency, detail=reason)

    def released(self) -> None:
        """Say that another worker will do it."""
        self._set("released", "info", detail="the worker stops; the job was given back")

    def unsettled(self, detail: str) -> None:
        """Say that the job's end was not confirmed."""
        self._fields["unsettled"] = detail
        self._level = "warning"

    def finish(self, seconds: float) -> None:
        """Write the line."""
        stages = {name: round(value * 1000, 3) for name, value in self._stages.items()}
        getattr(_LOG, self._level)("job", **self._fields, stages_ms=stages, total_ms=round(seconds * 1000, 3))
        self._instruments.job_duration.record(seconds, {"action": self._fields.get("action", "unknown")})

    def _set(self, action: str, level: str, **fields: Any) -> None:  # noqa: ANN401 - figures and words
        self._fields |= {"action": action, **fields}
        self._level = level

    def _took(self, stage: str, seconds: float) -> None:
        self._stages[stage] = self._stages.get(stage, 0.0) + seconds
        self._instruments.stage_duration.record(seconds, {"stage": stage})


class OtelTelemetry:
    """Opens the traces of deliveries and tells what happens to the worker's dependencies.

    ``subject`` and ``durable`` are what the queue is called; ``worker`` is this process's name.
    """

    def __init__(self, instruments: Instruments, *, subject: str, durable: str, worker: str) -> None:
        self._instruments = instruments
        self._subject = subject
        self._durable = durable
        self._worker = worker

    @contextmanager
    def job(self, delivery: Delivery) -> Iterator[OtelJobTrace]:
        """Continue the publisher's trace, for every delivery."""
        started, started_ns = time.perf_counter(), time.time_ns()
        span = _TRACER.start_span(
            f"process {self._subject}",
            context=_parent(delivery.headers),
            kind=SpanKind.CONSUMER,
            start_time=started_ns,
            attributes=self._attributes(delivery),
        )
        identity = span.get_span_context()
        ids: dict[str, str] = {}
        if identity.is_valid:
            ids = {"trace_id": format_trace_id(identity.trace_id), "span_id": format_span_id(identity.span_id)}
        fields: dict[str, Any] = {"action": "unknown", "job": str(delivery.key), "delivery": delivery.number}
        job_trace = OtelJobTrace(span, self._instruments, fields | {"worker": self._worker})
        token = context.attach(trace.set_span_in_context(span))
        self._instruments.in_flight.add(1)
        if delivery.number > 1:
            self._instruments.redeliveries.add(1)
        else:
            self._queue_wait(delivery, started_ns)
        with structlog.contextvars.bound_contextvars(photo_id=None, job_id=None, **ids):
            try:
                yield job_trace
            finally:
                job_trace.finish(time.perf_counter() - started)
                self._instruments.in_flight.add(-1)
                context.detach(token)
                span.end()

    def dependency_down(self, dependency: str, reason: str) -> None:
        """Say once that the worker pauses."""
        self._instruments.outages.add(1, {"dependency": dependency})
        _LOG.error("dependency down", action="dependency_down", dependency=dependency, detail=reason)

    def dependency_up(self, dependency: str, *, after_seconds: float) -> None:
        """Say that work goes on."""
        _LOG.info("dependency up", action="dependency_up", dependency=dependency, after_seconds=round(after_seconds, 3))

    def orphans_published(self, count: int) -> None:
        """Say that a dead worker's events were published."""
        self._instruments.orphans.add(count)
        _LOG.warning("orphaned events published", action="orphans_published", count=count)

    def _attributes(self, delivery: Delivery) -> dict[str, str | int]:
        return {
            "messaging.system": "nats",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": self._subject,
            "messaging.consumer.group.name": self._durable,
            "messaging.message.id": str(delivery.key),
            "messaging.message.body.size": len(delivery.body),
            "facematch.delivery": delivery.number,
        }

    def _queue_wait(self, delivery: Delivery, started_ns: int) -> None:
        """Record the time between the job's storing and its first delivery."""
        stored_ns = min(int(delivery.key.stored_at.timestamp() * 1e9), started_ns)
        self._instruments.queue_wait.record((started_ns - stored_ns) / 1e9)


def _parent(headers: Mapping[str, str]) -> context.Context:
    return propagate.extract({name.lower(): value for name, value in headers.items()}, context=context.Context())

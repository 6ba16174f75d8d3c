"""One delivery seen from outside: its trace, its figures and its one line in the log."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.spans import fail, spanned
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.line import CanonicalLine
from domain.decision import figures_of
from domain.errors import FacematchError
from domain.faces import StageTiming
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import Failed, JobRecord, Matched

_LOG = structlog.get_logger("facematch")
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelJobTrace:
    """The trace of one delivery; use it within the ``with`` block that opened it.

    ``settling`` is what the stage ``ack`` says of itself by the messaging conventions.
    """

    def __init__(
        self, span: Span, tracer: Tracer, instruments: Instruments, line: CanonicalLine, settling: dict[str, str]
    ) -> None:
        self._span = span
        self._tracer = tracer
        self._instruments = instruments
        self._line = line
        self._settling = settling

    @property
    def traceparent(self) -> str | None:
        """The header of the delivery's own span; the publisher's where the SDK is disabled."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(self._span))
        return carrier.get("traceparent")

    def identify(self, job: MatchJob | MalformedJob) -> None:
        """Put the photo's and the job's ids on span and log lines."""
        ids = {"photo_id": job.photo_id, "job_id": job.job_id}
        self._line.note(**{name: value and str(value) for name, value in ids.items()})
        for name, value in ids.items():
            if value is not None:
                self._span.set_attribute(f"facematch.{name}", str(value))
                structlog.contextvars.bind_contextvars(**{name: str(value)})
        if job.job_id is not None:
            self._span.set_attribute("messaging.message.conversation_id", str(job.job_id))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Make a child span current while the stage runs."""
        settling = name == "ack"
        started = time.perf_counter()
        with spanned(
            self._tracer,
            name,
            SpanKind.CLIENT if settling else SpanKind.INTERNAL,
            self._settling if settling else None,
            failures=FacematchError,
        ):
            try:
                yield
            finally:
                self._took(name, time.perf_counter() - started)

    def record_timings(self, timings: tuple[StageTiming, ...]) -> None:
        """Make spans of what ran in another process, at the times that it told."""
        for timing in timings:
            span = self._tracer.start_span(
                timing.name, start_time=timing.started_ns, attributes={"process.pid": timing.process_id}
            )
            span.end(timing.ended_ns)
            self._took(timing.name, timing.milliseconds / 1000)

    def concluded(self, record: JobRecord, *, repeated: bool) -> None:
        """Put the outcome on the span and into the line; count it once."""
        outcome = record.outcome
        reason = outcome.reason.value if outcome.reason else None
        self._line.conclude(
            "repeated" if repeated else outcome.kind.value,
            "error" if record.dead_lettered else "info",
            outcome=outcome.kind.value,
            reason=reason,
            embedder=record.embedder,
            **_details(record),
        )
        self._span.set_attributes(
            {
                "facematch.outcome": outcome.kind.value,
                "facematch.embedder": record.embedder,
                "facematch.repeated": repeated,
            }
        )
        if reason is not None:
            self._span.set_attribute("facematch.reason", reason)
        if isinstance(outcome, Failed):
            fail(self._span, outcome.reason)
        if not repeated:
            self._instruments.jobs.add(1, {"outcome": outcome.kind.value, "reason": reason or ""})
            if record.dead_lettered:
                self._instruments.dead_letters.add(1, {"reason": reason or ""})

    def attempt_failed(self, reason: Reason, detail: str, *, retry_after_seconds: float) -> None:
        """Say that another attempt follows."""
        self._line.conclude(
            "retry", "warning", reason=reason.value, detail=detail, retry_after_seconds=retry_after_seconds
        )
        fail(self._span, reason)
        self._instruments.retries.add(1, {"reason": reason.value})

    def unexpected(self, error: Exception) -> None:
        """Log the stack trace of an error that is a defect."""
        self._span.add_event("unexpected error", {"error.type": type(error).__name__})
        _LOG.error("unexpected error", action="unexpected_error", exc_info=error)

    def held(self, dependency: str, reason: str) -> None:
        """Note that the job waits in hand."""
        self._span.add_event("held", {"facematch.dependency": dependency})
        self._instruments.held.add(1, {"dependency": dependency})
        self._line.note(held_for=dependency)
        _LOG.debug("job held", action="held", dependency=dependency, detail=reason)

    def released(self, why: str) -> None:
        """Say why it is left to others."""
        self._line.conclude("released", "info", detail=why)

    def unsettled(self, detail: str) -> None:
        """Say that the job's end was not confirmed."""
        self._line.note(unsettled=detail)
        self._line.at_least("warning")

    def interrupted(self, error: BaseException) -> None:
        """Say that the handling of the delivery ended with an error; a job that was given back ends so, too."""
        if isinstance(error, asyncio.CancelledError) and self._line.action == "released":
            return
        self._line.note(interrupted_by=type(error).__name__)
        self._line.at_least("warning")
        fail(self._span, error)

    def finish(self, seconds: float) -> None:
        """Write the line."""
        self._instruments.job_duration.record(seconds, {"action": self._line.action})
        self._line.write(seconds)

    def _took(self, stage: str, seconds: float) -> None:
        self._line.took(stage, seconds)
        self._instruments.stage_duration.record(max(0.0, seconds), {"stage": stage})


def _details(record: JobRecord) -> dict[str, Any]:
    """Return what else the line says of an outcome."""
    outcome = record.outcome
    details: dict[str, Any] = {}
    if isinstance(outcome, Matched):
        details["user_id"] = str(outcome.user_id)
    else:
        details["detail"] = outcome.detail or None
    if outcome.comparison is not None:
        details |= figures_of(outcome.comparison)
    return details

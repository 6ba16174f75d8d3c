"""The spans of one delivery: how they hang together, and what they say."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs
import pytest
from opentelemetry import baggage
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode, format_span_id, format_trace_id

from adapters.telemetry.job import OtelTelemetry
from adapters.telemetry.sampling import MessagesOnly
from domain.errors import (
    EmbedderTimeoutError,
    ImageNotFoundError,
    MessagingUnavailableError,
    StorageUnavailableError,
)
from domain.jobs import JobKey
from domain.outcomes import Reason
from tests.contract.telemetry.samples import (
    GIVEN_UP,
    JOB,
    JOB_ID,
    KEY,
    MATCHED,
    NO_FACE,
    PHOTO,
    PUBLISHER_SPAN_ID,
    STORED_AT,
    TIMINGS,
    TRACE_ID,
    TRACEPARENT,
    SampleDelivery,
    record,
)
from tests.unit.adapters.telemetry.conftest import Observed

TRACED = SampleDelivery(trace_context={"traceparent": TRACEPARENT})


def parent_of(span: ReadableSpan) -> str | None:
    """Return the id of a span's parent."""
    return format_span_id(span.parent.span_id) if span.parent else None


def id_of(span: ReadableSpan) -> str:
    """Return a span's id."""
    context = span.get_span_context()
    assert context is not None
    return format_span_id(context.span_id)


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    """Return a span's attributes."""
    return dict(span.attributes or {})


def test_the_publishers_trace_is_continued(observed: Observed) -> None:
    """The process span is the child of the span that published, and links to it, as the conventions ask."""
    with observed.telemetry.job(TRACED) as trace:
        traceparent = trace.traceparent
    span = observed.span("process jobs")
    context = span.get_span_context()
    assert context is not None
    assert (format_trace_id(context.trace_id), parent_of(span)) == (TRACE_ID, PUBLISHER_SPAN_ID)
    assert [format_span_id(link.context.span_id) for link in span.links] == [PUBLISHER_SPAN_ID]
    assert traceparent == f"00-{TRACE_ID}-{id_of(span)}-01"


def test_tracestate_is_passed_on(observed: Observed) -> None:
    """What the publisher's tracing system wrote there is kept in the job's span."""
    with observed.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT, "tracestate": "vendor=abc"})):
        pass
    context = observed.span("process jobs").get_span_context()
    assert context is not None
    assert context.trace_state.to_header() == "vendor=abc"


def test_a_job_without_a_trace_begins_one(observed: Observed) -> None:
    """Its span is a root, and hangs under nothing that happens to be current in the worker."""
    with observed.telemetry.job(SampleDelivery()) as outer, observed.telemetry.job(SampleDelivery(number=2)) as inner:
        assert (outer.traceparent or "")[:35] != (inner.traceparent or "")[:35]
    assert [parent_of(span) for span in observed.spans()] == [None, None]
    assert [len(span.links) for span in observed.spans()] == [0, 0]


def test_the_process_span_speaks_the_conventions(observed: Observed) -> None:
    """Kind, name and attributes are those of OpenTelemetry's messaging conventions."""
    with observed.telemetry.job(SampleDelivery(number=3, body=b'{"a":1}')) as trace:
        trace.identify(JOB)
        trace.concluded(record(NO_FACE), repeated=False)
    span = observed.span("process jobs")
    assert span.kind is SpanKind.CONSUMER
    assert attributes_of(span) == {
        "messaging.system": "nats",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs",
        "messaging.consumer.group.name": "workers",
        "messaging.message.id": str(KEY),
        "messaging.message.body.size": 7,
        "messaging.message.conversation_id": str(JOB_ID),
        "messaging.client.id": "worker-1",
        "facematch.delivery": 3,
        "facematch.photo_id": str(PHOTO),
        "facematch.job_id": str(JOB_ID),
        "facematch.outcome": "skipped",
        "facematch.reason": "no_face",
        "facematch.embedder": "dlib@2",
        "facematch.repeated": False,
    }


def test_stages_hang_under_each_other_in_time(observed: Observed) -> None:
    """Each stage is a child of the one around it, and neither begins before nor ends after it."""
    with observed.telemetry.job(TRACED) as trace, trace.stage("vision"), trace.stage("inner"):
        pass
    process, vision, inner = (observed.span(name) for name in ("process jobs", "vision", "inner"))
    assert (parent_of(vision), parent_of(inner)) == (id_of(process), id_of(vision))
    times = [process.start_time, vision.start_time, inner.start_time, inner.end_time, vision.end_time, process.end_time]
    assert None not in times
    assert times == sorted(time or 0 for time in times)


def test_stages_of_another_process_keep_its_times(observed: Observed) -> None:
    """What ran elsewhere hangs under the stage that waited for it, with the times and the process that were told."""
    with observed.telemetry.job(TRACED) as trace, trace.stage("vision"):
        trace.record_timings(TIMINGS)
    vision, decode = observed.span("vision"), observed.span("decode")
    assert parent_of(decode) == id_of(vision)
    assert (decode.start_time, decode.end_time) == (1_000_000, 3_000_000)
    assert attributes_of(decode) == {"process.pid": 4711}


def test_the_wait_in_the_queue_is_a_span_beside(observed: Observed) -> None:
    """It lies under the publisher's span and ends where the process span begins: no child begins before its parent."""
    with observed.telemetry.job(TRACED):
        pass
    wait, process = observed.span("queue wait"), observed.span("process jobs")
    assert parent_of(wait) == PUBLISHER_SPAN_ID
    assert (wait.start_time, wait.end_time) == (int(STORED_AT.timestamp() * 1e9), process.start_time)


def test_a_clock_that_is_ahead_gives_no_negative_wait(observed: Observed) -> None:
    """A job stored in the future, by the worker's clock, did not wait."""
    key = JobKey(1, datetime.now(UTC) + timedelta(hours=1))
    with observed.telemetry.job(attrs.evolve(TRACED, key=key)):
        pass
    wait = observed.span("queue wait")
    assert wait.start_time == wait.end_time


@pytest.mark.parametrize("delivery", [SampleDelivery(), attrs.evolve(TRACED, number=2)])
def test_no_wait_is_shown_where_there_is_none(observed: Observed, delivery: SampleDelivery) -> None:
    """A redelivery waited for its retry, and without a publisher's span there is none to hang it under."""
    with observed.telemetry.job(delivery):
        pass
    assert [span.name for span in observed.spans()] == ["process jobs"]


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        (StorageUnavailableError("SlowDown"), "storage_unavailable", "storage_unavailable"),
        (EmbedderTimeoutError("30 s"), "embedder_timeout", "embedder_timeout"),
        (MessagingUnavailableError("no answer"), None, "MessagingUnavailableError"),
    ],
)
def test_a_stage_that_failed_says_why(observed: Observed, error: Exception, description: str | None, kind: str) -> None:
    """Status and error.type are the reason's word; there is no stack trace, and no text that could hold a secret."""
    with observed.telemetry.job(TRACED) as trace, pytest.raises(type(error)), trace.stage("fetch"):
        raise error
    fetch = observed.span("fetch")
    assert (fetch.status.status_code, fetch.status.description) == (StatusCode.ERROR, description)
    assert attributes_of(fetch) == {"error.type": kind}
    assert fetch.events == ()


def test_a_guardrail_is_no_error(observed: Observed) -> None:
    """A photograph that is not there is an outcome."""
    with observed.telemetry.job(TRACED) as trace, pytest.raises(ImageNotFoundError), trace.stage("fetch"):
        raise ImageNotFoundError("gone")
    assert observed.span("fetch").status.status_code is StatusCode.UNSET


def test_an_expected_outcome_is_no_error(observed: Observed) -> None:
    """Neither a match nor a skipped job marks its span."""
    for outcome in (MATCHED, NO_FACE):
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.concluded(record(outcome), repeated=False)
    assert [span.status.status_code for span in observed.spans()] == [StatusCode.UNSET] * 2


def test_a_failed_job_is_an_error_with_its_reason(observed: Observed) -> None:
    """So is an attempt that will be repeated."""
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.concluded(record(GIVEN_UP), repeated=False)
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.attempt_failed(Reason.STORAGE_UNAVAILABLE, "SlowDown", retry_after_seconds=1)
    for span in observed.spans():
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "storage_unavailable")
        assert attributes_of(span)["error.type"] == "storage_unavailable"


def test_an_interrupted_job_is_an_error(observed: Observed) -> None:
    """An error that leaves the block marks the span with its type, and with nothing more of it."""
    with pytest.raises(RuntimeError), observed.telemetry.job(SampleDelivery()):
        raise RuntimeError("secret")
    span = observed.span("process jobs")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert attributes_of(span)["error.type"] == "RuntimeError"
    assert span.events == ()


async def test_a_released_job_is_no_error(observed: Observed) -> None:
    """A worker that stops and gives its job back has not failed."""

    async def give_back() -> None:
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.released("the worker stops")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await give_back()
    assert observed.span("process jobs").status.status_code is StatusCode.UNSET


def test_what_happens_within_a_job_is_an_event(observed: Observed) -> None:
    """Being held, and a defect that did not end the job, have their place in time; a defect only by its type."""
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.held("database", "no answer")
        trace.unexpected(ValueError("secret"))
    events = [(event.name, dict(event.attributes or {})) for event in observed.span("process jobs").events]
    assert events == [
        ("held", {"facematch.dependency": "database"}),
        ("unexpected error", {"error.type": "ValueError"}),
    ]


def test_the_acknowledgement_settles(observed: Observed) -> None:
    """The stage ``ack`` is what the conventions call a settle operation."""
    with observed.telemetry.job(SampleDelivery()) as trace, trace.stage("ack"):
        pass
    ack = observed.span("ack")
    assert ack.kind is SpanKind.CLIENT
    assert attributes_of(ack) == {
        "messaging.system": "nats",
        "messaging.operation.name": "ack",
        "messaging.operation.type": "settle",
        "messaging.destination.name": "jobs",
        "messaging.consumer.group.name": "workers",
    }


def test_a_publisher_that_does_not_sample_is_heeded(observed: Observed) -> None:
    """With a parent-based sampler nothing of the job is exported; ids go on into log, event and traceparent."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(1.0)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = telemetry_with(observed, provider.get_tracer("test"))
    with (
        telemetry.job(SampleDelivery(trace_context={"traceparent": f"{TRACEPARENT[:-2]}00"})) as trace,
        trace.stage("fetch"),
    ):
        traceparent = trace.traceparent or ""
    assert spans.get_finished_spans() == ()
    assert (traceparent[:35], traceparent[-3:]) == (f"00-{TRACE_ID}", "-00")
    [line] = observed.log.jobs()
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, traceparent[36:52])


def test_only_messages_begin_traces() -> None:
    """A statement or a fetch that no job asked for is not exported; below a job's span they all are."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=MessagesOnly(ALWAYS_ON), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer("test")
    for kind in (SpanKind.CLIENT, SpanKind.INTERNAL):
        tracer.start_span(f"{kind.name} alone", kind=kind).end()
    for kind in (SpanKind.CONSUMER, SpanKind.PRODUCER):
        with tracer.start_as_current_span(kind.name, kind=kind):
            tracer.start_span("below", kind=SpanKind.CLIENT).end()
    assert [span.name for span in spans.get_finished_spans()] == ["below", "CONSUMER", "below", "PRODUCER"]
    assert MessagesOnly(ALWAYS_ON).get_description() == "MessagesOnly(AlwaysOnSampler)"


def test_baggage_goes_no_further(observed: Observed) -> None:
    """What a publisher put there may be personal: it is not in the job's context, to be passed on to others."""
    carrier = {"traceparent": TRACEPARENT, "baggage": "user=anna"}
    with observed.telemetry.job(SampleDelivery(trace_context=carrier)):
        assert baggage.get_all() == {}


def test_a_disabled_sdk_passes_the_publishers_context_on(observed: Observed) -> None:
    """Where nothing is traced here, the event still belongs to the publisher's trace."""
    telemetry = telemetry_with(observed, NoOpTracer())
    with telemetry.job(TRACED) as trace:
        assert trace.traceparent == TRACEPARENT
    with telemetry.job(SampleDelivery()) as trace:
        assert trace.traceparent is None
    traced, untraced = observed.log.jobs()
    assert traced["trace_id"] == TRACE_ID
    assert "trace_id" not in untraced


def telemetry_with(observed: Observed, tracer: object) -> OtelTelemetry:
    """Return telemetry that traces with another tracer."""
    return OtelTelemetry(observed.instruments, subject="jobs", durable="workers", worker="worker-1", tracer=tracer)  # type: ignore[arg-type] # any tracer


def test_ids_do_not_leak_from_job_to_job(observed: Observed) -> None:
    """A job that could not be parsed has no ids, although the one before, in the same task, had some."""
    other = attrs.evolve(JOB, photo_id=UUID(int=77), job_id=None)
    for job in (JOB, other):
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.identify(job)
    first, second = observed.spans()
    assert attributes_of(first)["facematch.job_id"] == str(JOB_ID)
    assert "facematch.job_id" not in attributes_of(second)

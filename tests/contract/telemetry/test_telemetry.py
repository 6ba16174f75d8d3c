"""What a use case may do with any telemetry: OpenTelemetry's, and the one that remembers."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, Tracer

from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from application.ports.telemetry import JobTrace, Telemetry
from domain.errors import (
    EmbedderCrashedError,
    ImageNotFoundError,
    MessagingUnavailableError,
    StorageUnavailableError,
)
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import Outcome
from tests.contract.telemetry.samples import (
    JOB,
    MALFORMED,
    MATCHED,
    OUTCOMES,
    TIMINGS,
    TRACEPARENT,
    SampleDelivery,
    record,
)
from tests.fakes.telemetry import RecordingTelemetry

W3C = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@attrs.frozen
class Subject:
    """Telemetry under test, and the way to see how many traces of jobs were opened and have ended."""

    telemetry: Telemetry
    ended: Callable[[], int]


def _otel(tracer: Tracer, spans: InMemorySpanExporter) -> Subject:
    instruments = Instruments(MeterProvider(shutdown_on_exit=False).get_meter("test"))
    telemetry = OtelTelemetry(instruments, subject="jobs", durable="workers", worker="worker-1", tracer=tracer)
    return Subject(telemetry, lambda: len([span for span in spans.get_finished_spans() if span.name == "process jobs"]))


def opentelemetry() -> Subject:
    """Return telemetry whose spans are kept."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return _otel(provider.get_tracer("test"), spans)


def recording() -> Subject:
    """Return the fake."""
    fake = RecordingTelemetry(TRACEPARENT)
    return Subject(fake, lambda: len([job for job in fake.jobs if not job.is_open]))


SUBJECTS = {"opentelemetry": opentelemetry, "recording": recording}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Return each telemetry in turn."""
    return SUBJECTS[request.param]()


def test_it_is_telemetry(subject: Subject) -> None:
    """The adapter satisfies the port, and what it opens the other one."""
    telemetry: Telemetry = subject.telemetry
    with telemetry.job(SampleDelivery()) as opened:
        trace: JobTrace = opened
        assert trace is not None


def test_a_trace_ends_with_its_block(subject: Subject) -> None:
    """Neither before nor later."""
    with subject.telemetry.job(SampleDelivery()) as trace:
        trace.identify(JOB)
        trace.concluded(record(MATCHED), repeated=False)
        assert subject.ended() == 0
    assert subject.ended() == 1


@pytest.mark.parametrize("error", [RuntimeError("a defect"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_trace_ends_whatever_happens(subject: Subject, error: BaseException) -> None:
    """An error passes through as it is, out of a stage and out of the job, and the trace has ended."""
    with (
        pytest.raises(type(error)) as caught,
        subject.telemetry.job(SampleDelivery()) as trace,
        trace.stage("fetch"),
    ):
        raise error
    assert caught.value is error
    assert subject.ended() == 1


@pytest.mark.parametrize(
    "error",
    [
        ImageNotFoundError("gone"),
        StorageUnavailableError("busy"),
        EmbedderCrashedError("signal 11"),
        MessagingUnavailableError("no answer"),
        RuntimeError("a defect"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_stage_that_fails_is_not_the_end_of_the_job(subject: Subject, error: Exception) -> None:
    """The use case sees the error and goes on; stages may be repeated and nested."""
    with subject.telemetry.job(SampleDelivery()) as trace:
        for _ in range(2):
            with pytest.raises(type(error)) as caught, trace.stage("vision"), trace.stage("inner"):
                raise error
            assert caught.value is error
        trace.concluded(record(MATCHED), repeated=False)
    assert subject.ended() == 1


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: str(outcome.reason))
@pytest.mark.parametrize("repeated", [False, True])
def test_every_outcome_can_be_told(subject: Subject, outcome: Outcome, *, repeated: bool) -> None:
    """With all that a record holds, and with little of it."""
    full = record(outcome)
    for told in (full, attrs.evolve(full, photo_id=None, face_index=None, job_id=None)):
        with subject.telemetry.job(SampleDelivery()) as trace:
            trace.concluded(told, repeated=repeated)


def test_traceparent_is_a_w3c_header(subject: Subject) -> None:
    """It stays the same from the beginning of the job to its end, in stages, too."""
    with subject.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT})) as trace:
        before = trace.traceparent
        with trace.stage("fetch"):
            within = trace.traceparent
        assert before is not None
        assert W3C.fullmatch(before)
        assert before == within == trace.traceparent


ODD_CONTEXTS = [
    {"traceparent": ""},
    {"traceparent": "garbage"},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    {"traceparent": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    {"traceparent": "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"},
    {"traceparent": TRACEPARENT, "tracestate": "=,;=x," + "k=v," * 200},
    {"traceparent": TRACEPARENT, "tracestate": "\x00\udcff"},
    {"traceparent": "9" * 100_000},
    {"tracestate": "vendor=1"},
]


@pytest.mark.parametrize("context", ODD_CONTEXTS, ids=range(len(ODD_CONTEXTS)))
def test_odd_trace_contexts_harm_nobody(subject: Subject, context: dict[str, str]) -> None:
    """Whatever a publisher sends, the job has a trace."""
    with subject.telemetry.job(SampleDelivery(trace_context=context)) as trace:
        assert trace.traceparent is not None
    assert subject.ended() == 1


async def test_jobs_overlap(subject: Subject) -> None:
    """Each of many jobs at once has a trace of its own."""

    async def handle(number: int) -> None:
        with subject.telemetry.job(SampleDelivery(number=number)) as trace:
            trace.identify(JOB)
            for _ in range(3):
                with trace.stage("fetch"):
                    await asyncio.sleep(0)
            trace.concluded(record(MATCHED), repeated=number > 1)

    await asyncio.gather(*(handle(number) for number in range(1, 21)))
    assert subject.ended() == 20


async def test_a_cancelled_job_has_ended(subject: Subject) -> None:
    """A task that is cancelled in a stage, and says that it gives the job back, leaves no open trace."""

    async def handle() -> None:
        with subject.telemetry.job(SampleDelivery()) as trace:
            try:
                with trace.stage("fetch"):
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                trace.released("the worker stops")
                raise

    task = asyncio.create_task(handle())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert subject.ended() == 1


def test_the_worker_itself_can_be_told_of(subject: Subject) -> None:
    """Within a job and outside of one."""

    def tell() -> None:
        subject.telemetry.dependency_down("database", "no answer")
        subject.telemetry.dependency_up("database", after_seconds=1.5)
        subject.telemetry.orphans_published(3)
        subject.telemetry.unexpected(RuntimeError("a defect"))

    tell()
    with subject.telemetry.job(SampleDelivery()):
        tell()


def _concluding(outcome: Outcome) -> Callable[[JobTrace], object]:
    return lambda trace: trace.concluded(record(outcome), repeated=False)


REPORTS: dict[str, Callable[[JobTrace], object]] = {
    "identify": lambda trace: trace.identify(JOB),
    "malformed": lambda trace: trace.identify(MALFORMED),
    "nameless": lambda trace: trace.identify(MatchJob(JOB.photo_id)),
    "partly parsed": lambda trace: trace.identify(MalformedJob(("x",), JOB.photo_id, 1, JOB.job_id)),
    "stages": lambda trace: trace.record_timings(TIMINGS),
    "no stages": lambda trace: trace.record_timings(()),
    "attempt failed": lambda trace: trace.attempt_failed(Reason.INTERNAL_ERROR, "why", retry_after_seconds=1.0),
    "unexpected": lambda trace: trace.unexpected(RuntimeError("a defect")),
    "held": lambda trace: trace.held("database", "no answer"),
    "released": lambda trace: trace.released("the worker stops"),
    "unsettled": lambda trace: trace.unsettled("no confirmation"),
    "traceparent": lambda trace: trace.traceparent,
    **{f"concluded {outcome.reason}": _concluding(outcome) for outcome in OUTCOMES},
}


@pytest.mark.parametrize("make", SUBJECTS.values(), ids=SUBJECTS)
@given(reports=st.lists(st.sampled_from(sorted(REPORTS)), max_size=12), fails=st.booleans())
def test_reports_may_come_in_any_order(make: Callable[[], Subject], reports: list[str], *, fails: bool) -> None:
    """None of them raises, whatever came before it, and the trace ends."""
    subject = make()
    with suppress(ZeroDivisionError), subject.telemetry.job(SampleDelivery(number=len(reports) + 1)) as trace:
        for name in reports:
            with trace.stage(name):
                REPORTS[name](trace)
        if fails:
            raise ZeroDivisionError
    assert subject.ended() == 1


@pytest.fixture
def disabled() -> OtelTelemetry:
    """Return telemetry as it is where the SDK is disabled."""
    subject = _otel(NoOpTracer(), InMemorySpanExporter())
    assert isinstance(subject.telemetry, OtelTelemetry)
    return subject.telemetry


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_reports_harm_nobody_where_tracing_is_off(disabled: OtelTelemetry, name: str) -> None:
    """Without an SDK nothing raises either."""
    with disabled.job(SampleDelivery()) as trace, trace.stage("fetch"):
        REPORTS[name](trace)

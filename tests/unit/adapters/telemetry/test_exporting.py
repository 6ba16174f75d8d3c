"""What stands around the exporters: cleaned spans, and a quiet log."""

import logging
import os
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from adapters.telemetry.exporting import RedactingSpanExporter, metric_exporter, span_exporter
from adapters.telemetry.once_per_minute import OncePerMinute
from adapters.telemetry.providers import TelemetrySettingsError, set_up
from adapters.telemetry.redaction import Redactor
from tests.fakes.clock import ManualClock
from tests.unit.adapters.telemetry.conftest import Log

SECRET = "hunter2-s3cret"


def exported(**attributes: str) -> ReadableSpan:
    """Return a span with these attributes, an event and a failed status, as it leaves the process."""
    inner = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "tested"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(RedactingSpanExporter(inner, Redactor((SECRET,)))))
    with provider.get_tracer("scope").start_as_current_span("S3.GetObject", attributes=attributes) as span:
        span.add_event("held", {"detail": attributes.get("detail", ""), "count": 3})
        span.set_status(Status(StatusCode.ERROR, f"failed: {attributes.get('detail', 'clean')}"))
    [ended] = inner.get_finished_spans()
    return ended


@pytest.mark.parametrize(
    "text", [SECRET, "minio://images/a.jpg?X-Amz-Signature=abc", "postgresql://u:pa55@h/d", str([0.25] * 128)]
)
def test_no_text_of_a_span_holds_a_secret(text: str) -> None:
    """Attributes, events and the status are cleaned; everything else of the span stays as it is."""
    span = exported(detail=text, number="1")
    shown = f"{dict(span.attributes or {})} {[dict(event.attributes or {}) for event in span.events]}"
    shown += str(span.status.description)
    for forbidden in (SECRET, "=abc", "pa55", "0.25"):
        assert forbidden not in shown
    assert shown.count("***") == 3
    context, scope = span.get_span_context(), span.instrumentation_scope
    assert context is not None
    assert scope is not None
    assert (span.name, scope.name, context.is_valid) == ("S3.GetObject", "scope", True)
    assert span.status.status_code is StatusCode.ERROR
    assert span.resource.attributes["service.name"] == "tested"
    assert (span.end_time or 0) >= (span.start_time or 0) > 0


def test_a_clean_span_is_exported_as_it_is() -> None:
    """Nothing is copied where nothing is to be hidden."""
    span = exported(key="a.jpg")
    assert dict(span.attributes or {}) == {"key": "a.jpg"}
    assert span.status.description == "failed: clean"
    assert dict(span.events[0].attributes or {}) == {"detail": "", "count": 3}


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, False),
        (ENDPOINT, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"}, False, True),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE "}, False, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, True, False),
    ],
)
def test_only_what_is_wanted_is_exported(environ: dict[str, str], *, traces: bool, metrics: bool) -> None:
    """No endpoint, no export; each signal can be turned off."""
    made = span_exporter(environ, Redactor()), metric_exporter(environ)
    for exporter in made:
        if exporter is not None:
            exporter.shutdown()
    assert (made[0] is not None, made[1] is not None) == (traces, metrics)


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}, "http"),
    ],
)
def test_the_protocol_is_chosen_by_signal(environ: dict[str, str], protocol: str) -> None:
    """The signal's own variable goes before the general one."""
    exporter = metric_exporter({**ENDPOINT, **environ})
    assert exporter is not None
    exporter.shutdown()
    assert f".{protocol}." in type(exporter).__module__


@pytest.fixture
def quiet_logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    """Return a logger that a test may make quiet."""
    logger = logging.getLogger(f"facematch.{request.node.name}")
    yield logger
    logger.handlers, logger.propagate = [], True


def test_a_failing_exporter_says_so_once_a_minute(logged: Callable[..., Log], quiet_logger: logging.Logger) -> None:
    """Whichever logger below complains, and without a stack trace."""
    clock = ManualClock()
    OncePerMinute(clock.monotonic).put_before(quiet_logger.name)
    log = logged()
    for second in range(100):
        quiet_logger.getChild("grpc.deep").error("cannot export", exc_info=ValueError("deep inside"))
        assert len(log.lines) == (1 if second < 60 else 2)
        clock.advance(1.0)
    assert [line["event"] for line in log.lines] == ["cannot export"] * 2
    assert "deep inside" not in log.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ],
)
def test_a_setting_that_the_sdk_cannot_work_with_is_told(
    logged: Callable[..., Log], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """It stops the start with one sentence, not with a stack trace, and nothing is set up by halves."""
    logged()
    before = trace.get_tracer_provider(), metrics.get_meter_provider()
    for variable, text in {**ENDPOINT, name: value}.items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(TelemetrySettingsError, match=r"the OTEL_\* settings are wrong: "):
        set_up(os.environ, version="1", instance="worker-1")
    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before

"""What is traced while nobody receives it."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from adapters.telemetry.unexported import UnexportedTracerProvider


def test_messages_keep_their_identity_and_nothing_else_is_made() -> None:
    """A publish within a stage belongs to the job's span itself, and the stage changes nothing for it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = UnexportedTracerProvider(provider).get_tracer("test")
    with tracer.start_as_current_span("process", kind=SpanKind.CONSUMER) as process:
        with tracer.start_as_current_span("stage") as stage:
            stage.set_attribute("error.type", "nobody reads it")
            assert trace.get_current_span().get_span_context() == process.get_span_context()
            with tracer.start_as_current_span("publish", kind=SpanKind.PRODUCER):
                pass
        assert not tracer.start_span("told later", start_time=1).is_recording()
    publish, job = kept.get_finished_spans()
    assert (publish.name, job.name) == ("publish", "process")
    assert publish.parent is not None
    assert publish.parent.span_id == process.get_span_context().span_id

"""Exporters, and what stands around them: nothing secret leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from adapters.telemetry.redaction import Redactor

_PREFIX = "OTEL_EXPORTER_OTLP"


def span_exporter(environ: Mapping[str, str], redactor: Redactor) -> SpanExporter | None:
    """Return what the environment asks for, None when it names no endpoint for traces or wants none."""
    if not _wanted(environ, "TRACES"):
        return None
    if _is_http(environ, "TRACES"):
        return RedactingSpanExporter(HttpSpanExporter(), redactor)
    return RedactingSpanExporter(GrpcSpanExporter(compression=_compression(environ, "TRACES")), redactor)


def metric_exporter(environ: Mapping[str, str]) -> MetricExporter | None:
    """Return what the environment asks for, None when it names no endpoint for metrics or wants none."""
    if not _wanted(environ, "METRICS"):
        return None
    if _is_http(environ, "METRICS"):
        return HttpMetricExporter()
    return GrpcMetricExporter(compression=_compression(environ, "METRICS"))


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment wants neither traces nor metrics."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _wanted(environ: Mapping[str, str], signal: str) -> bool:
    if is_disabled(environ):
        return False
    if environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return bool(environ.get(f"{_PREFIX}_{signal}_ENDPOINT") or environ.get(f"{_PREFIX}_ENDPOINT"))


def _is_http(environ: Mapping[str, str], signal: str) -> bool:
    protocol = environ.get(f"{_PREFIX}_{signal}_PROTOCOL") or environ.get(f"{_PREFIX}_PROTOCOL") or "grpc"
    return protocol.strip().lower().startswith("http")


def _compression(environ: Mapping[str, str], signal: str) -> grpc.Compression | None:
    """Return what the gRPC exporters do not understand by themselves: the standard's word ``none``."""
    word = environ.get(f"{_PREFIX}_{signal}_COMPRESSION") or environ.get(f"{_PREFIX}_COMPRESSION") or ""
    return grpc.Compression.NoCompression if word.strip().lower() == "none" else None


class RedactingSpanExporter(SpanExporter):
    """Cleans every text of a span before it is exported; a span that is clean goes as it is."""

    def __init__(self, inner: SpanExporter, redactor: Redactor) -> None:
        self._inner = inner
        self._redactor = redactor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the cleaned spans."""
        return self._inner.export([self._cleaned(span) for span in spans])

    def shutdown(self) -> None:
        """End the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._inner.force_flush(timeout_millis)

    def _cleaned(self, span: ReadableSpan) -> ReadableSpan:
        attributes = self._values(span.attributes)
        events = [Event(event.name, self._values(event.attributes), event.timestamp) for event in span.events]
        description = span.status.description and self._redactor.text(span.status.description)
        unchanged = [dict(event.attributes or {}) for event in span.events] == [event.attributes for event in events]
        if unchanged and attributes == dict(span.attributes or {}) and description == span.status.description:
            return span
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code, description),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _values(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            key: self._redactor.text(value) if isinstance(value, str) else value
            for key, value in (attributes or {}).items()
        }

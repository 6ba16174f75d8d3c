"""OpenTelemetry's providers, set up by the standard ``OTEL_*`` variables; no endpoint set means no export."""

import logging
import time
from collections.abc import Mapping

import attrs
from opentelemetry import metrics, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

_FLUSH_MS = 2000
_QUIET_SECONDS = 60.0
_PREFIX = "OTEL_EXPORTER_OTLP"


@attrs.frozen
class Providers:
    """What was set up, and how to end it."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    registry: CollectorRegistry

    def render_metrics(self) -> tuple[str, bytes]:
        """Return content type and body of the Prometheus text format."""
        return CONTENT_TYPE_LATEST, generate_latest(self.registry)

    def shutdown(self) -> None:
        """Send what is left, for two seconds at most."""
        self.tracer_provider.force_flush(_FLUSH_MS)
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown(_FLUSH_MS)


def set_up(environ: Mapping[str, str], *, version: str, instance: str) -> Providers:
    """Make the providers global and return them."""
    for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(name).addFilter(OncePerMinute())
    resource = _resource(environ, version, instance)
    tracers = TracerProvider(resource=resource)
    if _wanted(environ, "TRACES"):
        exporter = HttpSpanExporter() if _is_http(environ, "TRACES") else GrpcSpanExporter()
        tracers.add_span_processor(BatchSpanProcessor(exporter))
    registry = CollectorRegistry()
    readers: list[MetricReader] = [PrometheusMetricReader(registry=registry)]
    if _wanted(environ, "METRICS"):
        metric_exporter = HttpMetricExporter() if _is_http(environ, "METRICS") else GrpcMetricExporter()
        readers.append(PeriodicExportingMetricReader(metric_exporter))
    meters = MeterProvider(metric_readers=readers, resource=resource)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return Providers(tracers, meters, registry)


def _resource(environ: Mapping[str, str], version: str, instance: str) -> Resource:
    given = {
        "service.name": environ.get("OTEL_SERVICE_NAME") or "facematch",
        "service.version": version,
        "service.instance.id": instance,
    }
    if "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not environ.get("OTEL_SERVICE_NAME"):
        del given["service.name"]
    return Resource.create(given)


def _wanted(environ: Mapping[str, str], signal: str) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get(f"OTEL_{signal}_EXPORTER", "otlp").lower() == "none":
        return False
    return bool(environ.get(f"{_PREFIX}_{signal}_ENDPOINT") or environ.get(f"{_PREFIX}_ENDPOINT"))


def _is_http(environ: Mapping[str, str], signal: str) -> bool:
    protocol = environ.get(f"{_PREFIX}_{signal}_PROTOCOL") or environ.get(f"{_PREFIX}_PROTOCOL") or "grpc"
    return protocol.startswith("http")


class OncePerMinute(logging.Filter):
    """Lets one line a minute through: a collector that is away must not fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the first line, and then one a minute, without its stack trace."""
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + _QUIET_SECONDS
        record.exc_info = None
        return True

"""OpenTelemetry's providers, set up by the standard ``OTEL_*`` variables; no endpoint set means no export."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs
from opentelemetry import metrics, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from adapters.telemetry.exporting import is_disabled, metric_exporter, span_exporter
from adapters.telemetry.once_per_minute import OncePerMinute
from adapters.telemetry.redaction import Redactor
from adapters.telemetry.sampling import MessagesOnly
from adapters.telemetry.unexported import UnexportedTracerProvider
from domain.errors import FacematchError

_FLUSH_SECONDS = 2.0


class TelemetrySettingsError(FacematchError):
    """An ``OTEL_*`` variable holds something that the SDK cannot work with."""


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
        """Send what is left, for two seconds at most: the SDK would wait half a minute for a silent collector."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        threads = [
            threading.Thread(target=_shut_down, args=(provider,), name="telemetry-shutdown", daemon=True)
            for provider in (self.tracer_provider, self.meter_provider)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def set_up(environ: Mapping[str, str], *, version: str, instance: str, secrets: Sequence[str] = ()) -> Providers:
    """Make the providers global and return them; call :meth:`Providers.shutdown` at the end.

    ``environ`` is the process's own: the SDK reads more of it by itself. ``secrets`` are masked in what is exported.

    Raises:
        TelemetrySettingsError: the SDK cannot work with what an ``OTEL_*`` variable says.

    """
    OncePerMinute().put_before("opentelemetry")
    registry = CollectorRegistry()
    if not is_disabled(environ):
        ProcessCollector(registry=registry)
    readers: list[MetricReader] = [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]
    try:
        resource = _resource(version, instance)
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.sampler = MessagesOnly(tracers.sampler)  # around the one that the environment asks for
        spans = span_exporter(environ, Redactor(secrets))
        if spans is not None:
            tracers.add_span_processor(BatchSpanProcessor(spans))
        figures = metric_exporter(environ)
        if figures is not None:
            readers.append(PeriodicExportingMetricReader(figures))
        meters = MeterProvider(
            metric_readers=readers,
            resource=resource,
            # Prometheus' format is written without exemplars: unless they go elsewhere, none are looked for.
            exemplar_filter=AlwaysOffExemplarFilter() if figures is None else None,
            shutdown_on_exit=False,
        )
    except Exception as error:  # the SDK has no one error for settings that it does not understand
        raise TelemetrySettingsError(f"the OTEL_* settings are wrong: {error}") from error
    trace.set_tracer_provider(tracers if spans is not None else UnexportedTracerProvider(tracers))
    metrics.set_meter_provider(meters)
    return Providers(tracers, meters, registry)


def _resource(version: str, instance: str) -> Resource:
    """Describe this process; what ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` say goes first."""
    ours = {"service.name": "facematch", "service.version": version, "service.instance.id": instance}
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _shut_down(provider: TracerProvider | MeterProvider) -> None:
    with suppress(Exception):  # the meters' raises whatever its readers ran into
        provider.shutdown()

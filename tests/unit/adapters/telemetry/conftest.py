"""Telemetry whose spans, metrics and log lines a test can read."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from adapters.telemetry.logging import configure_logging


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """All of it."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    def jobs(self) -> list[dict[str, Any]]:
        """The canonical ones among them."""
        return [line for line in self.lines if line["event"] == "job"]


@pytest.fixture
def logged() -> Iterator[Callable[..., Log]]:
    """Return a function that configures the log and returns what is written to it; all is undone afterwards."""
    root = logging.getLogger()
    names = [None, *logging.Logger.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers, hooks, shown = root.handlers, (sys.excepthook, threading.excepthook), warnings.showwarning

    def configure(*, form: str | None = "json", level: str = "info", secrets: tuple[str, ...] = ()) -> Log:
        log = Log()
        configure_logging(form=form, level=level, worker="worker-1", secrets=secrets, stream=log.stream)
        return log

    yield configure
    logging.captureWarnings(capture=False)
    warnings.showwarning = shown
    root.handlers, (sys.excepthook, threading.excepthook) = handlers, hooks
    for name in [None, *logging.Logger.manager.loggerDict]:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
    pool = logging.getLogger("psycopg.pool")
    pool.handlers, pool.propagate = [], True
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@attrs.frozen
class Observed:
    """Telemetry and what it produced."""

    telemetry: OtelTelemetry
    instruments: Instruments
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    log: Log

    def spans(self) -> list[ReadableSpan]:
        """Return the ended spans, in the order of their ends."""
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of that name."""
        [found] = [span for span in self.spans() if span.name == name]
        return found

    def metric(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Return a metric's values by their attributes; a histogram's is its count."""
        data = self.reader.get_metrics_data()
        points = [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "value", getattr(point, "count", None))
            for point in points
        }


@pytest.fixture
def observed(logged: Callable[..., Log]) -> Observed:
    """Return telemetry of a worker ``worker-1`` on the subject ``jobs``."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    instruments = Instruments(meter)
    telemetry = OtelTelemetry(
        instruments,
        subject="jobs",
        durable="workers",
        worker="worker-1",
        embedder="dlib@2",
        tracer=provider.get_tracer("test"),
    )
    return Observed(telemetry, instruments, exporter, reader, logged(level="debug"))

"""A receiver of OTLP over HTTP that keeps what it gets: the demo's and the tests' stand-in for Jaeger."""

import gzip
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import attrs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02


@attrs.frozen
class ReceivedSpan:
    """One span as it was exported; ids are hexadecimal, times nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    message: str
    links: tuple[tuple[str, str], ...]
    events: tuple[str, ...]

    @property
    def service(self) -> str:
        """The resource's ``service.name``."""
        return str(self.resource.get("service.name", ""))


@attrs.frozen
class ReceivedPoint:
    """One point of a metric as it was exported; a histogram's value is its count. ``traces`` are its exemplars'."""

    name: str
    value: float
    attributes: dict[str, Any]
    resource: dict[str, Any]
    traces: frozenset[str]


class OtlpReceiver:
    """A server on an ephemeral loopback port, running until the block ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[ReceivedSpan] = []
        self._points: list[ReceivedPoint] = []
        self._http = ThreadingHTTPServer((_LOOPBACK, 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, name="otlp-http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def http_endpoint(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT`` with protocol ``http/protobuf``."""
        return f"http://{_LOOPBACK}:{self._http.server_port}"

    def spans(self) -> list[ReceivedSpan]:
        """Return every span that has come so far."""
        with self._lock:
            return list(self._spans)

    def metrics(self) -> set[str]:
        """Return the names of the metrics that have come so far."""
        with self._lock:
            return {point.name for point in self._points}

    def points(self, name: str) -> list[ReceivedPoint]:
        """Return the points of a metric that have come so far, oldest first."""
        with self._lock:
            return [point for point in self._points if point.name == name]

    def wait(self, good: Callable[[Self], bool], *, seconds: float = 10.0) -> None:
        """Return as soon as ``good`` says so of this receiver; raise TimeoutError when it does not in time."""
        deadline = time.monotonic() + seconds
        while not good(self):
            if time.monotonic() > deadline:
                names = sorted({span.name for span in self.spans()})
                raise TimeoutError(f"the telemetry that was waited for did not come; spans: {names}")
            time.sleep(_POLL_SECONDS)

    def take_traces(self, request: trace_pb.ExportTraceServiceRequest) -> None:
        """Keep the spans of a request."""
        spans = [
            _received(span, _plain(resource.resource.attributes))
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self._spans += spans

    def take_metrics(self, request: metrics_pb.ExportMetricsServiceRequest) -> None:
        """Keep the points of a request."""
        points = [
            point
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in _points(metric, _plain(resource.resource.attributes))
        ]
        with self._lock:
            self._points += points


def _handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                receiver.take_traces(trace_pb.ExportTraceServiceRequest.FromString(body))
                answer = trace_pb.ExportTraceServiceResponse().SerializeToString()
            elif self.path == "/v1/metrics":
                receiver.take_metrics(metrics_pb.ExportMetricsServiceRequest.FromString(body))
                answer = metrics_pb.ExportMetricsServiceResponse().SerializeToString()
            else:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    return Handler


def _received(span: Span, resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        resource=resource,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        message=span.status.message,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple(event.name for event in span.events),
    )


def _points(metric: Metric, resource: dict[str, Any]) -> list[ReceivedPoint]:
    kind = metric.WhichOneof("data")
    if kind not in {"histogram", "sum", "gauge"}:
        return []
    return [
        ReceivedPoint(
            metric.name,
            float(point.count if kind == "histogram" else getattr(point, point.WhichOneof("value"))),
            _plain(point.attributes),
            resource,
            frozenset(exemplar.trace_id.hex() for exemplar in point.exemplars),
        )
        for point in getattr(metric, str(kind)).data_points
    ]


def _plain(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - OTLP values are of any kind
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None

"""The receiver of OTLP over HTTP that the demo uses, with gRPC beside it."""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

from infra.local_stack.otlp import OtlpReceiver

_WORKERS = 4


class GrpcOtlpReceiver(OtlpReceiver):
    """Both protocols, each on an ephemeral loopback port, with what came by either in one place."""

    def __init__(self) -> None:
        super().__init__()
        self.traces = b""
        self._grpc = grpc.server(ThreadPoolExecutor(_WORKERS))
        trace_grpc.add_TraceServiceServicer_to_server(_Traces(self), self._grpc)  # type: ignore[no-untyped-call] # generated
        metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), self._grpc)  # type: ignore[no-untyped-call] # generated
        self._port = self._grpc.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._grpc.start()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._grpc.stop(0).wait()

    def take_traces(self, request: trace_pb.ExportTraceServiceRequest) -> None:
        """Keep the bytes, too."""
        self.traces += request.SerializeToString()
        super().take_traces(request)

    @property
    def grpc_endpoint(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT`` with protocol ``grpc``, the default."""
        return f"http://127.0.0.1:{self._port}"


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, receiver: GrpcOtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, _context: Any) -> trace_pb.ExportTraceServiceResponse:  # noqa: N802 - as generated
        self._receiver.take_traces(request)
        return trace_pb.ExportTraceServiceResponse()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, receiver: GrpcOtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, _context: Any) -> metrics_pb.ExportMetricsServiceResponse:  # noqa: N802 - as generated
        self._receiver.take_metrics(request)
        return metrics_pb.ExportMetricsServiceResponse()

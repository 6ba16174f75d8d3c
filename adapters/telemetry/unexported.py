"""Tracing while nobody receives the spans: what messages refer to stays, the rest is not made."""

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util._decorator import _AgnosticContextManager

from adapters.telemetry.sampling import BEGINNINGS

_NOTHING = trace.NoOpTracer()


class UnexportedTracerProvider(TracerProvider):
    """Makes the spans of messages, whose identities events, log lines and the ledger carry, and no others.

    The others are a tenth of what a job costs the worker's main process.
    """

    def __init__(self, inner: TracerProvider) -> None:
        self._inner = inner

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:  # noqa: ANN401 - as the parent's
        """Return a tracer that keeps to this."""
        return _MessagesTracer(self._inner.get_tracer(*args, **kwargs))


class _MessagesTracer(Tracer):
    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        *args: Any,  # noqa: ANN401 - whatever else the parent's takes
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> Span:
        return self._for(kind).start_span(name, context, kind, *args, **kwargs)

    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        *args: Any,  # noqa: ANN401 - whatever else the parent's takes
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> _AgnosticContextManager[Span]:
        return self._for(kind).start_as_current_span(name, context, kind, *args, **kwargs)

    def _for(self, kind: SpanKind) -> Tracer:
        return self._inner if kind in BEGINNINGS else _NOTHING

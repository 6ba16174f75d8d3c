"""Tracing while nobody receives the spans: what messages refer to stays, the rest is not made."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

from adapters.telemetry.sampling import BEGINNINGS


class UnexportedTracerProvider(TracerProvider):
    """Makes the spans of messages, whose identities events, log lines and the ledger carry, and no others."""

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
        if kind not in BEGINNINGS:
            return trace.INVALID_SPAN
        return self._inner.start_span(name, context, kind, *args, **kwargs)

    def start_as_current_span(  # type: ignore[override] # what it returns decorates no function
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        *args: Any,  # noqa: ANN401 - whatever else the parent's takes
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> AbstractContextManager[Span]:
        if kind not in BEGINNINGS:
            return nullcontext(trace.INVALID_SPAN)
        return self._inner.start_as_current_span(name, context, kind, *args, **kwargs)

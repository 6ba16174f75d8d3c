"""Which traces are worth having."""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

BEGINNINGS = {SpanKind.CONSUMER, SpanKind.PRODUCER}


class MessagesOnly(Sampler):
    """Lets a trace begin with a message alone, and asks another sampler about the rest.

    What a worker does for itself, such as its look at the outbox every second, would be a trace each time.
    """

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(  # noqa: PLR0913, PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Drop a span without a parent that is about no message."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if not parent.is_valid and kind not in BEGINNINGS:
            return SamplingResult(Decision.DROP)
        return self._inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name the sampler."""
        return f"MessagesOnly({self._inner.get_description()})"

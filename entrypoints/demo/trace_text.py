"""One job's trace as text: who did what, under whom, when and for how long."""

from collections.abc import Sequence

from entrypoints.demo.span_tree import rows
from infra.local_stack.otlp import ReceivedSpan

_NAME_WIDTH = 46


def render(spans: Sequence[ReceivedSpan]) -> str:
    """Return the spans of one trace as a tree: offset from the start and duration in milliseconds, and the service."""
    lines = [f"trace {spans[0].trace_id}", f"{'span':<{_NAME_WIDTH}} {'at ms':>9} {'took ms':>9}  service"]
    for row in rows(spans):
        name = "  " * row.depth + row.span.name
        lines.append(f"{name:<{_NAME_WIDTH}} {row.at_ms:9.1f} {row.took_ms:9.1f}  {row.span.service}")
    return "\n".join(lines) + "\n"

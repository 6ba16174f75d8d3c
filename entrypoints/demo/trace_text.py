"""One job's trace as text: who did what, under whom, when and for how long."""

from collections.abc import Sequence

from infra.local_stack.otlp import ReceivedSpan

_NAME_WIDTH = 46


def render(spans: Sequence[ReceivedSpan]) -> str:
    """Return the spans of one trace as a tree: offset from the start and duration in milliseconds, and the service."""
    start = min(span.start_ns for span in spans)
    known = {span.span_id for span in spans}
    lines = [f"trace {spans[0].trace_id}", f"{'span':<{_NAME_WIDTH}} {'at ms':>9} {'took ms':>9}  service"]

    def add(parent: str | None, indent: int) -> None:
        children = [s for s in spans if (s.parent_id if s.parent_id in known else None) == parent]
        for span in sorted(children, key=lambda child: child.start_ns):
            name = "  " * indent + span.name
            at, took = (span.start_ns - start) / 1e6, (span.end_ns - span.start_ns) / 1e6
            lines.append(f"{name:<{_NAME_WIDTH}} {at:9.1f} {took:9.1f}  {span.service}")
            add(span.span_id, indent + 1)

    add(None, 0)
    return "\n".join(lines) + "\n"

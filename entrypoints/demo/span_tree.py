"""The spans of one trace, each under its parent, by when it began: in that order, and as text."""

from collections.abc import Iterator, Sequence

import attrs

from infra.local_stack.otlp import ReceivedSpan

_NAME_WIDTH = 46


@attrs.frozen
class Row:
    """A span, how deep it is below the first one, and when it began, in milliseconds after the trace did."""

    depth: int
    span: ReceivedSpan
    at_ms: float

    @property
    def took_ms(self) -> float:
        """How long it took."""
        return (self.span.end_ns - self.span.start_ns) / 1e6


def rows(spans: Sequence[ReceivedSpan]) -> list[Row]:
    """Return all spans of one trace; those whose parent is not among them stand at the outside."""
    start = min(span.start_ns for span in spans)
    known = {span.span_id for span in spans}

    def below(parent: str | None, depth: int) -> Iterator[Row]:
        children = [s for s in spans if (s.parent_id if s.parent_id in known else None) == parent]
        for span in sorted(children, key=lambda child: child.start_ns):
            yield Row(depth, span, (span.start_ns - start) / 1e6)
            yield from below(span.span_id, depth + 1)

    return list(below(None, 0))


def render(spans: Sequence[ReceivedSpan]) -> str:
    """Return the spans of one trace as a tree: offset from the start and duration in milliseconds, and the service."""
    lines = [f"trace {spans[0].trace_id}", f"{'span':<{_NAME_WIDTH}} {'at ms':>9} {'took ms':>9}  service"]
    for row in rows(spans):
        name = "  " * row.depth + row.span.name
        lines.append(f"{name:<{_NAME_WIDTH}} {row.at_ms:9.1f} {row.took_ms:9.1f}  {row.span.service}")
    return "\n".join(lines) + "\n"

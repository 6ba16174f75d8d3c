"""What a W3C ``traceparent`` says, for whoever looks a trace up."""


def trace_id(traceparent: str | None) -> str | None:
    """Return the id of the trace; None where there is none, or where a stranger's header has none."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None

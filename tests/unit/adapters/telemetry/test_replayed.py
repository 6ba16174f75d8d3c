"""The trace of a job that is sent again: one of its own, with a link to the original's."""

from opentelemetry.trace import format_span_id, format_trace_id

from tests.contract.telemetry.samples import PUBLISHER_SPAN_ID, TRACE_ID, TRACEPARENT, SampleDelivery
from tests.unit.adapters.telemetry.conftest import Observed

_NEW_TRACE, _NEW_SPAN = "1" * 32, "2" * 16


def test_a_replayed_job_begins_a_trace_that_links_to_the_original(observed: Observed) -> None:
    """It has no parent, and the link has the original's ids and state."""
    original = {"traceparent": TRACEPARENT, "tracestate": "vendor=abc"}
    with observed.telemetry.job(SampleDelivery(replayed_trace_context=original)):
        pass
    span = observed.span("process jobs")
    context = span.get_span_context()
    assert context is not None
    [link] = span.links
    assert (span.parent, format_trace_id(context.trace_id) == TRACE_ID) == (None, False)
    assert format_trace_id(link.context.trace_id) == TRACE_ID
    assert format_span_id(link.context.span_id) == PUBLISHER_SPAN_ID
    assert link.context.trace_state.to_header() == "vendor=abc"


def test_who_sends_it_again_within_a_trace_is_the_parent(observed: Observed) -> None:
    """Then there are links to both, and the original's trace is not continued."""
    sender, original = {"traceparent": f"00-{_NEW_TRACE}-{_NEW_SPAN}-01"}, {"traceparent": TRACEPARENT}
    with observed.telemetry.job(SampleDelivery(trace_context=sender, replayed_trace_context=original)):
        pass
    span = observed.span("process jobs")
    assert span.parent is not None
    assert format_trace_id(span.parent.trace_id) == _NEW_TRACE
    assert [format_trace_id(link.context.trace_id) for link in span.links] == [_NEW_TRACE, TRACE_ID]


def test_a_header_that_is_no_trace_is_no_link(observed: Observed) -> None:
    """Anybody may write anything into it."""
    with observed.telemetry.job(SampleDelivery(replayed_trace_context={"traceparent": "00-0-0-zz"})):
        pass
    assert list(observed.span("process jobs").links) == []

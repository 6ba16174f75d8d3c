"""One job is one trace, from the publisher to the acknowledgement, as an OTLP backend receives it."""

from typing import Any

from infra.local_stack.otlp import OtlpReceiver, ReceivedSpan
from tests.e2e.world import World

_PUBLISHER_TRACE, _PUBLISHER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_one_job_is_one_trace(world: World, photographs: Any) -> None:
    """Every span of the job, also of the vision process, hangs below the publisher's span, in time and in the tree."""
    user, photo = world.add_user(), world.add_photo()
    world.cli("enroll", str(user), str(photographs.path("obama")))
    world.put("traced.jpg", photographs.path("obama2").read_bytes())
    with OtlpReceiver() as receiver:
        export = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        with world.worker(**export) as worker:
            headers = {"traceparent": f"00-{_PUBLISHER_TRACE}-{_PUBLISHER_SPAN}-01"}
            await world.publish({"photo_id": str(photo), "image_ref": "traced.jpg"}, headers)
            await world.outcome_of(photo)
            await world.settled()
            receiver.wait(lambda r: any(span.name.startswith("process ") for span in r.spans()))
            receiver.wait(lambda r: "facematch.jobs" in r.metrics())
            [line] = [line for line in worker.lines() if line.get("event") == "job"]
            counted = [
                text
                for text in worker.get("/metrics")[1].splitlines()
                if text.startswith("facematch_jobs_total") and not text.endswith(" 0.0")
            ]
            worker_id = worker.process.pid
        spans = [span for span in receiver.spans() if span.trace_id == _PUBLISHER_TRACE]
    [jobs] = counted
    assert 'outcome="matched"' in jobs
    assert jobs.endswith(" 1.0")
    assert line["trace_id"] == _PUBLISHER_TRACE
    by_id = {span.span_id: span for span in spans}
    [root] = [span for span in spans if span.name == "process photo_faces.single.requested"]
    assert (root.parent_id, root.kind, root.span_id) == (_PUBLISHER_SPAN, "CONSUMER", line["span_id"])
    for span in spans:
        assert span.service == "facematch"
        assert span.parent_id == _PUBLISHER_SPAN or span.parent_id in by_id
        assert span.start_ns <= span.end_ns
        assert not span.failed
    assert {"guardrails", "fetch", "decode", "detect", "embed", "search", "transaction", "publish", "ack"} <= {
        span.name for span in spans if span.parent_id and _below(span, root, by_id)
    }
    assert {span.attributes["process.pid"] for span in spans if span.name in {"decode", "embed"}} != {worker_id}
    published = [span for span in spans if span.kind == "PRODUCER"]
    assert [span.attributes["messaging.destination.name"] for span in published] == ["photo_faces.single.matched"]


def _below(span: ReceivedSpan, root: ReceivedSpan, by_id: dict[str, ReceivedSpan]) -> bool:
    while span.span_id != root.span_id:
        parent = by_id.get(span.parent_id or "")
        if parent is None:
            return False
        assert parent.start_ns <= span.start_ns
        assert span.end_ns <= parent.end_ns
        span = parent
    return True

"""Telemetry through software that is not ours: a collector in between, and Jaeger. Both run where there is one.

``pip install rotel`` into the virtual environment gives the collector, or ``FACEMATCH_TEST_ROTEL`` names its program.
``FACEMATCH_TEST_JAEGER_OTLP`` says where Jaeger takes OTLP over HTTP, ``FACEMATCH_TEST_JAEGER_QUERY`` where it answers.
"""

import importlib.util
import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest

from infra.local_stack.otlp import OtlpReceiver
from infra.local_stack.process import ServerProcess, free_port
from tests.contract.telemetry.samples import PUBLISHER_SPAN_ID, TRACE_ID
from tests.integration.telemetry.conftest import run_deliveries

_OF_A_MATCH = {
    "queue wait",
    "process jobs",
    "guardrails",
    "fetch",
    "vision",
    "decode",
    "detect",
    "embed",
    "search",
    "transaction",
    "publish",
    "ack",
}
_PATIENCE_SECONDS = 20.0


def rotel() -> Path | None:
    """Return the collector's program, where there is one."""
    if path := os.environ.get("FACEMATCH_TEST_ROTEL"):
        return Path(path)
    package = importlib.util.find_spec("rotel")
    return Path(package.origin).parent / "rotel-agent" if package is not None and package.origin else None


@pytest.fixture
def behind() -> Iterator[OtlpReceiver]:
    """Return what the collector passes everything on to."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def collector(behind: OtlpReceiver, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a collector, and return its endpoint for each protocol."""
    agent = rotel()
    if agent is None:
        pytest.skip("no collector: `pip install rotel`, or FACEMATCH_TEST_ROTEL")
    ports = {"grpc": free_port(), "http/protobuf": free_port()}
    command = [
        str(agent),
        "start",
        f"--otlp-grpc-endpoint=127.0.0.1:{ports['grpc']}",
        f"--otlp-http-endpoint=127.0.0.1:{ports['http/protobuf']}",
        "--exporter=otlp",
        f"--otlp-exporter-endpoint={behind.http_endpoint}",
        "--otlp-exporter-protocol=http",
    ]
    process = ServerProcess("rotel", tmp_path / "rotel.log")
    process.start(command, environment={"PATH": os.defpath}, ready=lambda: _takes_http(ports["http/protobuf"]))
    yield {protocol: f"http://127.0.0.1:{port}" for protocol, port in ports.items()}
    process.stop()


def _takes_http(port: int) -> bool:
    """Tell whether an empty request for traces is taken."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/traces", data=b"", headers={"Content-Type": "application/x-protobuf"}
    )
    try:
        with urllib.request.urlopen(request, timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_trace_comes_whole_through_a_collector(
    collector: dict[str, str], behind: OtlpReceiver, protocol: str
) -> None:
    """Each job is one trace with one root and no orphan, by either protocol; metrics come along."""
    run = run_deliveries(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector[protocol], OTEL_EXPORTER_OTLP_PROTOCOL=protocol, VISION_PROCESS="yes"
    )
    behind.wait(lambda r: sum(span.name == "process jobs" for span in r.spans()) == 3, seconds=_PATIENCE_SECONDS)
    behind.wait(lambda r: "facematch.jobs" in r.metrics(), seconds=_PATIENCE_SECONDS)
    traces = [job["trace_id"] for job in run.jobs]
    assert traces[0] == TRACE_ID
    assert {span.trace_id for span in behind.spans()} == set(traces)
    for trace in traces:
        spans = [span for span in behind.spans() if span.trace_id == trace]
        ids = {span.span_id for span in spans}
        [root] = [span for span in spans if span.name == "process jobs"]
        assert len(ids) == len(spans)
        assert {span.service for span in spans} == {"facematch"}
        assert root.parent_id == (PUBLISHER_SPAN_ID if trace == TRACE_ID else None)
        assert {span.parent_id for span in spans} - {root.parent_id} <= ids
    assert {span.name for span in behind.spans() if span.trace_id == TRACE_ID} >= _OF_A_MATCH


@attrs.frozen
class Jaeger:
    """A Jaeger that somebody runs."""

    otlp: str
    query: str

    def traces(self, service: str, good: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Return the traces of a service as soon as ``good`` says so of them."""
        url = f"{self.query}/api/traces?{urllib.parse.urlencode({'service': service, 'limit': 20})}"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with urllib.request.urlopen(url, timeout=5) as answer:
                traces: list[dict[str, Any]] = json.load(answer)["data"] or []
            if good(traces):
                return traces
            assert time.monotonic() < deadline, traces
            time.sleep(0.2)


@pytest.fixture
def jaeger() -> Jaeger:
    """Return the Jaeger that the environment names."""
    otlp, query = (os.environ.get(f"FACEMATCH_TEST_JAEGER_{what}") for what in ("OTLP", "QUERY"))
    if not otlp or not query:
        pytest.skip("no Jaeger: FACEMATCH_TEST_JAEGER_OTLP and FACEMATCH_TEST_JAEGER_QUERY name none")
    return Jaeger(otlp.rstrip("/"), query.rstrip("/"))


def test_jaeger_shows_one_trace_for_a_job(jaeger: Jaeger) -> None:
    """Under the service's name, from the publisher's span down to the vision process; a failed try is marked."""
    service = f"facematch-{uuid4().hex[:8]}"
    run = run_deliveries(
        OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.otlp,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_METRICS_EXPORTER="none",
        OTEL_SERVICE_NAME=service,
        VISION_PROCESS="yes",
    )
    wanted = {job["trace_id"] for job in run.jobs}

    def is_whole(found: list[dict[str, Any]]) -> bool:
        names = {span["operationName"] for trace in found for span in trace["spans"] if trace["traceID"] == TRACE_ID}
        return len(found) == len(wanted) and names >= _OF_A_MATCH

    traces = {trace["traceID"]: trace for trace in jaeger.traces(service, is_whole)}
    assert traces.keys() == wanted
    of_service = {name for name, process in traces[TRACE_ID]["processes"].items() if process["serviceName"] == service}
    spans = {span["spanID"]: span for span in traces[TRACE_ID]["spans"] if span["processID"] in of_service}
    parents = {
        span["spanID"]: [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]
        for span in spans.values()
    }
    [root] = [span for span in spans.values() if span["operationName"] == "process jobs"]
    assert parents[root["spanID"]] == [PUBLISHER_SPAN_ID]
    assert all(parent == PUBLISHER_SPAN_ID or parent in spans for [parent] in parents.values())
    tags = {tag["key"]: tag["value"] for tag in root["tags"]}
    assert tags["facematch.outcome"] == "matched"
    tries = [span for span in spans.values() if span["operationName"] == "S3.GetObject"]
    failed = [any(tag["key"] == "error" and tag["value"] for tag in span["tags"]) for span in tries]
    assert sorted(failed) == [False, True]

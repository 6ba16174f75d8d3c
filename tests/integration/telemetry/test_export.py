"""What a real OTLP receiver gets of a worker's deliveries, by either protocol, whatever the environment says."""

import json
import re
from pathlib import Path

import attrs
import pytest
from jsonschema import Draft202012Validator

from infra.local_stack.nats import NatsServer
from infra.local_stack.otlp import ReceivedSpan
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.process import free_port
from tests.contract.telemetry.samples import PUBLISHER_SPAN_ID, TRACE_ID
from tests.databases import migrated
from tests.fakes.vision import INFO
from tests.integration.telemetry.conftest import Run, run_deliveries
from tests.integration.telemetry.deliveries import PHOTOS, SECRET
from tests.integration.telemetry.failing import CANARIES
from tests.otlp_receiver import GrpcOtlpReceiver
from tests.unit.application.world import ANNA, JOB_ID, embedding
from tests.unit.docs.pages import page, rows


def in_order(spans: list[ReceivedSpan], parent: str) -> list[ReceivedSpan]:
    """Return a span's children by the time of their beginning."""
    return sorted((span for span in spans if span.parent_id == parent), key=lambda span: span.start_ns)


def tree(spans: list[ReceivedSpan], parent: str) -> dict[str, object]:
    """Return the names below a span, each with those below it; of several alike the number is shown."""
    shown: dict[str, object] = {}
    for span in in_order(spans, parent):
        name = span.name
        while name in shown:
            name += "'"
        shown[name] = tree(spans, span.span_id)
    return shown


@attrs.frozen
class Observation:
    """What one run exported and said, on the real database called ``database``."""

    exported: bytes
    spans: list[ReceivedSpan]
    run: Run
    database: str

    def of_job(self, number: int) -> list[ReceivedSpan]:
        """Return the spans of one of the four deliveries."""
        return [span for span in self.spans if span.trace_id == self.run.jobs[number]["trace_id"]]


@pytest.fixture(scope="module")
def observation(postgres_server: PostgresServer, nats_server: NatsServer) -> Observation:
    """Return what a run exported, with vision in a process of its own, real servers, and a delivery that they fail."""
    database = migrated(postgres_server)
    with database.tables() as tables, GrpcOtlpReceiver() as receiver:
        for photo in PHOTOS:
            tables.add_photo(photo)
        tables.add_user(ANNA, embedding())
        said = run_deliveries(
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint,
            DATABASE_URL=database.url,
            NATS_URL=nats_server.url,
            VISION_PROCESS="yes",
        )
        return Observation(receiver.traces, receiver.spans(), said, database.url.rpartition("/")[2])


def test_one_delivery_is_one_tree(observation: Observation) -> None:
    """From the publisher's span down to each try, each statement and each stage of another process; nothing is lost."""
    spans, name = observation.of_job(0), observation.database
    assert tree(spans, PUBLISHER_SPAN_ID) == {
        "queue wait": {},
        "process jobs": {
            "guardrails": {f"recall {name}": {}},
            "fetch": {"S3.GetObject": {}, "S3.GetObject'": {}},
            "vision": {"decode": {}, "detect": {}, "embed": {}},
            "search": {f"look_at_index {name}": {}, f"nearest {name}": {}, f"count {name}": {}},
            "transaction": {f"conclude_face {name}": {}},
            "publish": {},
            "ack": {},
        },
    }
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        assert span.start_ns <= span.end_ns
        above = by_id.get(span.parent_id or "")
        if above is not None:
            assert above.start_ns <= span.start_ns
            assert span.end_ns <= above.end_ns
    line = observation.run.jobs[0]
    assert (line["trace_id"], by_id[line["span_id"]].name) == (TRACE_ID, "process jobs")


def test_every_job_is_one_trace(observation: Observation) -> None:
    """A job without a publisher's span has a root of its own; what belongs to no job is in no trace."""
    for number in (1, 2, 3):
        [root] = [span for span in observation.of_job(number) if span.parent_id is None]
        assert root.name == "process jobs"
        ids = {span.span_id for span in observation.of_job(number)}
        assert {span.parent_id for span in observation.of_job(number)} - {None} <= ids
    assert sum(len(observation.of_job(number)) for number in range(4)) == len(observation.spans)


def test_spans_say_what_they_are(observation: Observation) -> None:
    """Kinds, services, processes and the number of a try, by OpenTelemetry's conventions."""
    spans = observation.of_job(0)
    kinds = {span.name: span.kind for span in spans}
    name = observation.database
    statements = {f"{what} {name}" for what in ("recall", "look_at_index", "nearest", "count", "conclude_face")}
    assert {name for name, kind in kinds.items() if kind == "CLIENT"} == {"S3.GetObject", "ack", *statements}
    assert {name for name, kind in kinds.items() if kind == "CONSUMER"} == {"process jobs"}
    [process] = [span for span in spans if span.name == "process jobs"]
    assert process.attributes["messaging.message.conversation_id"] == str(JOB_ID)
    assert process.attributes["facematch.outcome"] == "matched"
    assert process.attributes["facematch.photo_id"] == str(PHOTOS[0])
    assert process.links == ((TRACE_ID, PUBLISHER_SPAN_ID),)
    resource = {name: value for name, value in process.resource.items() if not name.startswith("telemetry.sdk")}
    assert resource == {"service.name": "facematch", "service.version": "9.9", "service.instance.id": "worker-1"}
    first, second = sorted((s for s in spans if s.name == "S3.GetObject"), key=lambda span: span.start_ns)
    assert (first.attributes["facematch.attempt"], first.failed) == (1, True)
    assert (second.attributes["facematch.attempt"], second.failed) == (2, False)
    assert second.attributes == {
        "rpc.system.name": "aws-api",
        "rpc.method": "S3/GetObject",
        "aws.s3.bucket": "images",
        "aws.s3.key": "anna.jpg",
        "facematch.attempt": 2,
        "facematch.image.bytes": 20,
    }
    elsewhere = {span.attributes["process.pid"] for span in spans if span.name in {"decode", "detect", "embed"}}
    assert len(elsewhere) == 1
    [recall] = [span for span in spans if span.name.startswith("recall ")]
    assert recall.attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "recall",
        "db.namespace": observation.database,
    }


def test_the_reference_lists_what_other_adapters_export(observation: Observation) -> None:
    """Kind and attributes of the spans of object store, database and broker: all that come, and no others."""
    table = rows(page("docs/reference/telemetry.md").section("Traces"))
    listed = {name: (kind, set(attributes.split(", "))) for name, kind, attributes in table}
    real: dict[str, tuple[str, set[str]]] = {}
    for span in observation.spans:
        name = "OPERATION DATABASE" if span.name.endswith(observation.database) else span.name
        name = "publish SUBJECT" if span.kind == "PRODUCER" else name.replace("jobs", "SUBJECT")
        _, attributes = real.setdefault(name, (span.kind, set()))
        attributes |= set(span.attributes)
    for name, (kind, attributes) in real.items():
        assert (kind, attributes - listed[name][1]) == (listed[name][0], set())
    others = {"S3.GetObject", "OPERATION DATABASE", "publish SUBJECT", "embed"}
    assert {name: real[name] for name in others} == {name: listed[name] for name in others}


def test_errors_are_status_and_reason(observation: Observation) -> None:
    """A job that will be tried again is an error in itself, its stage and each of its tries; a skipped one is none."""
    failed = [span for span in observation.of_job(2) if span.failed]
    assert {span.name for span in failed} == {"process jobs", "fetch", "S3.GetObject"}
    assert {(span.message, span.attributes["error.type"]) for span in failed} == {("storage_unavailable",) * 2}
    tries = [span.attributes["facematch.attempt"] for span in failed if span.name == "S3.GetObject"]
    assert sorted(tries) == [1, 2, 3]
    assert [span.name for span in observation.of_job(1) if span.failed] == []
    [skipped] = [span for span in observation.of_job(1) if span.name == "process jobs"]
    assert (skipped.attributes["facematch.reason"], skipped.parent_id) == ("image_not_found", None)


def test_every_kind_of_span_fails_by_a_word(observation: Observation) -> None:
    """The reason where there is one, else only the error's type: nothing of the texts is in a byte of the export."""
    failed = {
        (span.kind, span.name.partition(" ")[0]): (span.message, span.attributes["error.type"])
        for span in observation.of_job(3)
        if span.failed
    }
    assert failed == {
        ("CONSUMER", "process"): ("", "ZeroDivisionError"),
        ("INTERNAL", "fetch"): ("storage_unavailable", "storage_unavailable"),
        ("CLIENT", "S3.GetObject"): ("storage_unavailable", "storage_unavailable"),
        ("INTERNAL", "transaction"): ("database_unavailable", "database_unavailable"),
        ("CLIENT", "refused"): ("", "CheckViolation"),
        ("INTERNAL", "publish"): ("", "MessagingUnavailableError"),
        ("PRODUCER", "publish"): ("", "NoStreamResponseError"),
    }
    assert [text for text in CANARIES if text.encode() in observation.exported] == []
    assert {event for span in observation.spans for event in span.events} == set()


def test_every_line_is_what_the_schema_describes(observation: Observation) -> None:
    """Those of a match, a skipped job, an attempt that failed, and a delivery that a defect ended."""
    schema = json.loads(Path("docs/reference/schemas/log-line.json").read_text())
    for line in observation.run.jobs:
        Draft202012Validator({**schema, "additionalProperties": False}).validate(line)
    assert [line["action"] for line in observation.run.jobs] == ["matched", "skipped", "retry", "interrupted"]


def test_nothing_secret_is_exported_or_logged(observation: Observation) -> None:
    """No secret, no signature of a URL, no embedding and no stack trace, although errors' texts held the former."""
    for said in (observation.exported.decode(errors="replace"), str(observation.run.log)):
        assert SECRET not in said
        assert "X-Amz-Signature=abc" not in said
        assert "Traceback" not in said
    assert {event for span in observation.spans for event in span.events} == set()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_both_protocols_carry_everything(receiver: GrpcOtlpReceiver, protocol: str, compression: str) -> None:
    """The same spans and metrics come by gRPC and by HTTP, compressed or not."""
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    run_deliveries(
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
    )
    assert len([span for span in receiver.spans() if span.name == "process jobs"]) == 3
    jobs = {(p.attributes["outcome"], p.attributes["reason"]): p.value for p in receiver.points("facematch.jobs")}
    assert jobs == {("matched", ""): 1.0, ("skipped", "image_not_found"): 1.0}
    assert [(p.value, p.attributes) for p in receiver.points("facematch.retries")] == [
        (1.0, {"reason": "storage_unavailable"})
    ]
    assert [(p.value, p.attributes) for p in receiver.points("facematch.gallery.users")] == [
        (1.0, {"embedder": INFO.id})
    ]
    assert {p.attributes["stage"]: p.value for p in receiver.points("facematch.stage.duration")}["fetch"] == 3.0
    assert receiver.points("facematch.jobs")[0].resource["service.name"] == "facematch"


def test_exported_metrics_name_traces(receiver: GrpcOtlpReceiver) -> None:
    """A histogram's exemplars lead from a bucket to jobs that fell into it."""
    run = run_deliveries(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint)
    traces = {point.attributes["action"]: point.traces for point in receiver.points("facematch.job.duration")}
    assert traces == {job["action"]: {job["trace_id"]} for job in run.jobs}


def test_signals_may_go_to_different_places(receiver: GrpcOtlpReceiver) -> None:
    """A signal's own endpoint and protocol go before the general ones; a signal without an endpoint stays at home."""
    run_deliveries(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.http_endpoint}/v1/traces",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf",
    )
    assert len([span for span in receiver.spans() if span.name == "process jobs"]) == 3
    assert receiver.metrics() == set()


def test_a_disabled_sdk_exports_nothing(receiver: GrpcOtlpReceiver) -> None:
    """Jobs are handled and logged as ever; the publisher's context is passed on; there are no metrics either."""
    run = run_deliveries(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint, OTEL_SDK_DISABLED="true")
    assert (receiver.spans(), receiver.metrics()) == ([], set())
    assert [line["action"] for line in run.jobs] == ["matched", "skipped", "retry"]
    assert (run.jobs[0]["trace_id"], run.jobs[0]["span_id"]) == (TRACE_ID, PUBLISHER_SPAN_ID)
    assert "facematch_jobs" not in run.metrics
    assert "process_" not in run.metrics


def test_no_endpoint_means_no_export() -> None:
    """The standard's default endpoints are not tried: without one there is nothing to complain of."""
    run = run_deliveries()
    assert [line["event"] for line in run.log] == ["job"] * 3
    assert 'facematch_jobs_total{outcome="matched",reason=""} 1.0' in run.metrics
    assert run.jobs[0]["trace_id"] == TRACE_ID


def test_what_the_process_itself_takes_is_shown_as_the_reference_says() -> None:
    """Memory, processor time and files of the main process, under the names that Prometheus' clients share."""
    shown = {line.split()[0] for line in run_deliveries().metrics.splitlines() if line.startswith("process_")}
    assert shown == set(re.findall(r"`(process_\w+)`", page("docs/reference/telemetry.md").section("Metrics")))


@pytest.mark.parametrize(
    ("sampler", "exported"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, []),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.0"}, [True]),
    ],
)
def test_the_sampler_is_respected(receiver: GrpcOtlpReceiver, sampler: dict[str, str], exported: list[bool]) -> None:
    """Spans are left out as the environment says; metrics and ids in the log are not."""
    run = run_deliveries(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint, **sampler)
    processed = sorted((s for s in receiver.spans() if s.name == "process jobs"), key=lambda span: span.start_ns)
    assert [span.trace_id == TRACE_ID for span in processed] == exported
    assert "facematch.jobs" in receiver.metrics()
    assert all(line["trace_id"] for line in run.jobs)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "my.service.name=x,service.name=others,service.instance.id=i"},
            {"service.name": "others", "my.service.name": "x", "service.instance.id": "i"},
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "my.service.name=x,service.name=others", "OTEL_SERVICE_NAME": "faces"},
            {"service.name": "faces", "my.service.name": "x", "service.instance.id": "worker-1"},
        ),
    ],
)
def test_the_resource_is_what_the_environment_says(
    receiver: GrpcOtlpReceiver, variables: dict[str, str], expected: dict[str, str]
) -> None:
    """Of traces and metrics alike; what it does not say keeps the service's own words."""
    run_deliveries(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint, **variables)
    for resource in (receiver.spans()[0].resource, receiver.points("facematch.jobs")[0].resource):
        assert {name: resource[name] for name in expected} == expected
        assert resource["service.version"] == "9.9"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_collector_delays_nobody(protocol: str) -> None:
    """Nobody listens: jobs are done as fast as ever, the end takes few seconds, and the log says so once."""
    run = run_deliveries(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_BSP_SCHEDULE_DELAY="100",
        AWAIT_COMPLAINT="yes",
    )
    assert [line["action"] for line in run.jobs] == ["matched", "skipped", "retry"]
    assert run.jobs[1]["total_ms"] < 5000
    assert run.shutdown_seconds < 5
    complaints = [line for line in run.log if line["event"] != "job"]
    assert len(complaints) == 1
    assert complaints[0]["logger"].startswith("opentelemetry.")
    assert "exception" not in complaints[0]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_silent_collector_delays_nobody(silent_endpoint: str, protocol: str) -> None:
    """It takes the connection and never answers: the worker ends all the same."""
    run = run_deliveries(OTEL_EXPORTER_OTLP_ENDPOINT=silent_endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert [line["action"] for line in run.jobs] == ["matched", "skipped", "retry"]
    assert run.jobs[1]["total_ms"] < 5000
    assert run.shutdown_seconds < 5
    assert len([line for line in run.log if line["event"] != "job"]) <= 1

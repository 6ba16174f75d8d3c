"""The reference says what the code does: every metric, every field and level of the log, every span."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.telemetry.gauges import observe, observe_events, observe_readiness
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from application.ports.telemetry import JobTrace
from domain.errors import StorageUnavailableError
from domain.outcomes import OutcomeKind, Reason
from tests.contract.telemetry.samples import JOB, MATCHED, OUTCOMES, TIMINGS, TRACEPARENT, SampleDelivery, record
from tests.fakes.gauges import FixedGauges
from tests.unit.adapters.telemetry.conftest import Observed
from tests.unit.docs.pages import ROOT, page, rows

PAGE = page("docs/reference/telemetry.md")
SCHEMA = json.loads((ROOT / "docs/reference/schemas/log-line.json").read_text())
LINE = Draft202012Validator({**SCHEMA, "additionalProperties": False})
"""What this release writes; the published schema leaves room for later ones."""
STAGES = ("guardrails", "fetch", "vision", "search", "transaction", "publish", "ack")
GAUGES = FixedGauges(
    jobs={"pending": 1, "ack_pending": 1, "redelivered": 1},
    oldest_age=1.5,
    dead_letters=1,
    vision_restarts=1,
    vision_memory=1,
    users={"dlib@2": 1},
    connections={"used": 1, "idle": 1, "waiting": 0, "maximum": 2},
)


def do_everything(telemetry: OtelTelemetry) -> None:
    """Tell of all that can happen, so that everything that can be said is said."""
    telemetry.dependency_down("database", "no answer")
    telemetry.dependency_up("database", after_seconds=1)
    telemetry.orphans_published(1)
    telemetry.search_is_slow(1)
    telemetry.unexpected(ValueError("a defect"))

    def concluding(number: int, *, repeated: bool) -> Callable[[JobTrace], None]:
        return lambda trace: trace.concluded(record(OUTCOMES[number]), repeated=repeated)

    endings = [concluding(number, repeated=repeated) for number in range(len(OUTCOMES)) for repeated in (False, True)]
    endings += [
        lambda trace: trace.attempt_failed(Reason.STORAGE_UNAVAILABLE, "busy", retry_after_seconds=1),
        lambda trace: trace.released("the worker stops"),
        lambda trace: trace.unsettled("no confirmation"),
        lambda trace: trace.unexpected(ValueError("a defect")),
    ]
    for number, end in enumerate(endings):
        delivery = SampleDelivery(number=1 + number % 2, trace_context={"traceparent": TRACEPARENT})
        with suppress(ZeroDivisionError), telemetry.job(delivery) as trace:
            trace.identify(JOB)
            trace.held("database", "no answer")
            for stage in STAGES:
                with suppress(StorageUnavailableError), trace.stage(stage):
                    trace.record_timings(TIMINGS)
                    raise StorageUnavailableError("busy")
            end(trace)
            if number == len(endings) - 1:
                raise ZeroDivisionError


def test_every_metric_is_listed_as_it_is(observed: Observed) -> None:
    """Name, type, labels and help text, each as Prometheus gets it; nothing is listed that is not there."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False, disable_target_info=True)
    instruments = Instruments(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"))
    observe(instruments, GAUGES)
    observe_events(instruments, lambda: 0.0)
    observe_readiness(instruments, lambda: {"database": "no answer"})
    do_everything(OtelTelemetry(instruments, subject="jobs", durable="workers", worker="w"))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    real = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        real[name] = (family.type, ", ".join(sorted(labels)) or "\N{EN DASH}", family.documentation)
    listed = {row[0]: (row[2], row[3], row[4]) for row in rows(PAGE.section("Metrics"))}
    assert listed == real
    assert observed.log.lines


def test_every_metric_has_its_otlp_name(observed: Observed) -> None:
    """The second name is the one that is exported."""
    observe(observed.instruments, GAUGES)
    observe_events(observed.instruments, lambda: 0.0)
    observe_readiness(observed.instruments, lambda: {"database": "no answer"})
    do_everything(observed.telemetry)
    data = observed.reader.get_metrics_data()
    assert data is not None
    names = {metric.name for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert {row[1] for row in rows(PAGE.section("Metrics"))} == names


def test_every_field_of_the_canonical_line_is_listed(observed: Observed) -> None:
    """Those that are always there are said to be, and no other."""
    do_everything(observed.telemetry)
    lines = observed.log.jobs()
    listed = {row[0]: row[1] for row in rows(PAGE.section("The canonical line"))}
    assert set(listed) == {field for line in lines for field in line}
    always = set.intersection(*(set(line) for line in lines)) - {"held_for"}  # everything was held in this test
    assert {field for field, when in listed.items() if when in {"always", "tracing is on"}} == always


def test_the_schema_of_the_line_is_its_table() -> None:
    """The same fields in the same order, those always there required, the same meanings; later ones may be added."""
    table = list(rows(PAGE.section("The canonical line")))
    said = [(name, field["description"].replace("`", "")) for name, field in SCHEMA["properties"].items()]
    assert [(name, text.casefold()) for name, text in said] == [(name, f"{row[1]}.".casefold()) for name, *row in table]
    assert SCHEMA["required"] == [name for name, when, _ in table if when == "always"]
    assert Draft202012Validator(SCHEMA).is_valid({**SCHEMA["examples"][0], "of_a_later_release": 1})


def test_the_words_of_the_schema_are_the_codes() -> None:
    """Actions and levels are those of the table, outcomes and reasons the domain's, stages those that are measured."""
    words = {name: field.get("enum") for name, field in SCHEMA["properties"].items()}
    table = list(rows(PAGE.section("Actions and levels")))
    assert words["action"] == list(dict.fromkeys(action for action, *_ in table))
    assert set(words["level"]) == {level for _, level, _ in table}
    assert words["outcome"] == [*(kind.value for kind in OutcomeKind), None]
    assert SCHEMA["$defs"]["reason_of_skipped"]["enum"] == [r.value for r in Reason if not r.is_failure]
    assert SCHEMA["$defs"]["reason_of_failed"]["enum"] == [r.value for r in Reason if r.is_failure]
    stages = SCHEMA["properties"]["stages_ms"]["propertyNames"]["enum"]
    assert set(stages) == {*STAGES, *(timing.name for timing in TIMINGS), "embed"}


def test_every_line_is_what_the_schema_describes(observed: Observed) -> None:
    """Whatever became of the delivery; so are the examples, of which the page shows the first."""
    do_everything(observed.telemetry)
    lines = observed.log.jobs()
    assert {line["action"] for line in lines} == set(SCHEMA["properties"]["action"]["enum"])
    for line in [*lines, *SCHEMA["examples"]]:
        LINE.validate(line)
    assert [json.loads(code) for code in PAGE.code("json")] == SCHEMA["examples"][:1]


@pytest.mark.parametrize(
    "change",
    [
        {"action": "retry"},
        {"outcome": "failed"},
        {"reason": "no_match"},
        {"user_id": None},
        {"delivery": 0},
        {"timestamp": "2026-01-02T03:04:05"},
        {"stages_ms": {"lunch": 1.0}},
        {"embedding": [0.1]},
    ],
    ids=str,
)
def test_what_is_no_line_is_refused(change: dict[str, object]) -> None:
    """The schema can say no: to what does not fit the outcome, and to fields that must never be there."""
    assert not LINE.is_valid({**SCHEMA["examples"][0], **change})


def test_the_example_is_a_line(observed: Observed) -> None:
    """It has the fields of a real one, in their order."""
    with observed.telemetry.job(SampleDelivery(trace_context={"traceparent": TRACEPARENT})) as trace:
        trace.identify(JOB)
        trace.concluded(record(MATCHED), repeated=False)
    [example] = [json.loads(code) for code in PAGE.code("json")]
    [line] = observed.log.jobs()
    assert {*example} == {*line}
    assert [key for key in example if key not in {"trace_id", "span_id"}] == [
        key for key in line if key not in {"trace_id", "span_id"}
    ]


def test_actions_and_levels_are_listed(observed: Observed) -> None:
    """Every pair that a canonical line can have; one that is unsettled may be of a higher level."""
    do_everything(observed.telemetry)
    pairs = {(line["action"], line["level"]) for line in observed.log.jobs() if "unsettled" not in line}
    assert {(row[0], row[1]) for row in rows(PAGE.section("Actions and levels"))} == pairs


def test_other_lines_are_listed(observed: Observed) -> None:
    """With their level; those of the worker's life are written elsewhere in the code."""
    do_everything(observed.telemetry)
    listed = {(row[0], row[1]) for row in rows(PAGE.section("Other lines of a worker"))}
    assert {(line["action"], line["level"]) for line in observed.log.lines if line["event"] != "job"} <= listed
    written = set()
    for path in (*Path(ROOT / "adapters").rglob("*.py"), *Path(ROOT / "entrypoints").rglob("*.py")):
        written |= set(re.findall(r'action="(\w+)"', path.read_text(encoding="utf-8")))
    written -= {"store_true"}  # of a command's option
    assert written == {action for action, _level in listed}


def test_spans_fail_in_one_place() -> None:
    """Nowhere else is a span begun in which the SDK would put an error's text, or its status set."""
    begun = re.compile(r"\.(?:start_as_current_span|set_status)\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for layer in ("adapters", "application", "domain", "entrypoints")
        for path in (ROOT / layer).rglob("*.py")
        if begun.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"adapters/spans.py", "adapters/telemetry/unexported.py"}  # the latter passes on what it is given


def test_every_span_is_listed_as_it_is(observed: Observed) -> None:
    """Kind and attributes of every span that telemetry makes itself; the others are compared as they are exported."""
    do_everything(observed.telemetry)
    listed = {
        row[0].replace("SUBJECT", "jobs"): (row[1], set(row[2].split(", "))) for row in rows(PAGE.section("Traces"))
    }
    real: dict[str, tuple[str, set[str]]] = {}
    for span in observed.spans():
        _, attributes = real.setdefault(span.name, (span.kind.name, set()))
        attributes |= set(span.attributes or {})
    assert {name: listed[name] for name in real} == real
    others = {"S3.GetObject", "OPERATION DATABASE", "publish jobs", "embed"}
    assert set(listed) - set(real) == others

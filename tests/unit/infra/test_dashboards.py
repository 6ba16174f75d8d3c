"""Dashboard and alerts ask for what a worker really tells, in queries that Prometheus can read."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import promql_parser as promql
import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.telemetry.gauges import observe, observe_events, observe_readiness
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from domain.outcomes import OutcomeKind, Reason
from tests.unit.adapters.telemetry.test_reference import GAUGES, do_everything
from tests.unit.docs.pages import ROOT, Page, page, rows

DASHBOARD: Final[dict[str, Any]] = json.loads((ROOT / "infra/grafana/facematch.json").read_text())
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
SHOWING: Final = [panel for panel in PANELS if panel["type"] != "row"]
ALERTS_FILE: Final = ROOT / "infra/prometheus/alerts.yaml"
RULES: Final[list[dict[str, Any]]] = yaml.safe_load(ALERTS_FILE.read_text())["groups"][0]["rules"]
GRID_COLUMNS: Final = 24
OF_THE_SCRAPE: Final = frozenset({"instance", "job"})
OF_PROMETHEUS: Final = "up"
"""What it tells of every target itself."""
REFERENCE: Final = page("docs/reference/telemetry.md")
GUIDE: Final = page("docs/how-to/watch-it.md")


def values_of(label: str) -> frozenset[str]:
    """Return what the reference's row of that label puts between backticks."""
    [values] = re.findall(rf"^\| {re.escape(label)} \|(.*)", REFERENCE.section("Labels"), re.MULTILINE)
    return frozenset(re.findall(r"`([\w ]+)`", values))


METRICS: Final = REFERENCE.section("Metrics")
CAUSES: Final = values_of("`cause`")
VALUES: Final[Mapping[str, frozenset[str]]] = {
    "outcome": frozenset(OutcomeKind),
    "reason": frozenset(Reason) | {""},
    "action": frozenset(row[0] for row in rows(REFERENCE.section("Actions and levels"))),
    "stage": values_of("`stage`"),
    "state": values_of("`state` of the queue"),
    "cause": CAUSES,
    "dependency": CAUSES - {"worker"},
    "db_client_connection_state": frozenset({"used", "idle"}),
    "db_client_connection_pool_name": frozenset({"facematch"}),
}


@attrs.frozen
class Query:
    """One expression, and who asks it."""

    asker: str
    expression: str

    def __str__(self) -> str:
        """Return who asks."""
        return self.asker

    @property
    def nodes(self) -> list[Any]:
        """Every part of it, parsed."""
        found: list[Any] = []
        promql.walk(promql.parse(self.expression), found.append)
        return found

    @property
    def selectors(self) -> list[promql.VectorSelector]:
        """What it asks for."""
        return [node for node in self.nodes if isinstance(node, promql.VectorSelector)]


def queries() -> Iterator[Query]:
    """Yield the queries of all alerts, and of all panels with Grafana's variables filled in."""
    for rule in RULES:
        yield Query(rule["alert"], rule["expr"])
    for panel in SHOWING:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "2m").replace("$instance", "worker-1:8080")
            yield Query(f"{panel['title']} {target['refId']}", text)


QUERIES: Final = tuple(queries())


@pytest.fixture(scope="module")
def told() -> Mapping[str, frozenset[str]]:
    """Return the labels of every series that a worker shows to Prometheus once everything has happened."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False, disable_target_info=True)
    instruments = Instruments(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"))
    instruments.start_from_zero(VALUES["dependency"])
    observe(instruments, GAUGES)
    observe_events(instruments, lambda: 0.0)
    observe_readiness(instruments, lambda: {"database": "no answer"})
    do_everything(OtelTelemetry(instruments, subject="jobs", durable="workers", worker="w"))
    labels: dict[str, frozenset[str]] = {OF_PROMETHEUS: frozenset()}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels[sample.name] = labels.get(sample.name, frozenset()) | frozenset(sample.labels)
    return labels


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_metric_exists_with_the_labels_that_are_asked_for(
    query: Query, told: Mapping[str, frozenset[str]]
) -> None:
    """A name or a label that nobody has would show nothing, and never alert."""
    assert len(query.selectors) > 0
    for selector in query.selectors:
        assert selector.name is not None
        assert selector.name in told
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= told[selector.name] | OF_THE_SCRAPE
    grouped = {label for node in query.nodes if isinstance(node, promql.AggregateExpr) for label in _labels_of(node)}
    assert grouped <= frozenset().union(*(told[s.name] for s in query.selectors if s.name), OF_THE_SCRAPE)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_value_that_is_asked_for_is_possible(query: Query) -> None:
    """Each word in a selector is one of those that the label can have; each pattern leaves none of its words out."""
    for selector in query.selectors:
        for matcher in selector.matchers.matchers:
            if matcher.name in OF_THE_SCRAPE:
                continue
            words = (
                matcher.value.split("|") if matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe) else [matcher.value]
            )
            assert set(words) <= VALUES[matcher.name]


def test_the_words_of_the_labels_are_known() -> None:
    """The reference was read as it was meant: the test above would pass on nothing."""
    assert VALUES["stage"] >= {"guardrails", "vision", "ack"}
    assert VALUES["state"] == {"pending", "ack_pending", "redelivered"}
    assert VALUES["cause"] == {"database", "gallery", "object store", "embedder", "message broker", "worker"}
    assert VALUES["action"] >= {"matched", "skipped", "retry"}


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_counters_are_asked_for_their_rise(query: Query) -> None:
    """What only grows says nothing by itself, unless it is new; what goes up and down has no rate."""
    rising = {"rate", "increase"}
    for node in query.nodes:
        if isinstance(node, promql.Call) and node.func.name in rising | {"deriv"}:
            [argument] = node.args
            [name] = [selector.name for selector in Query(query.asker, str(argument)).selectors]
            assert name is not None
            assert name.endswith(("_total", "_bucket", "_sum", "_count")) is (node.func.name in rising)
    asked_for_a_rise = sum(isinstance(node, promql.MatrixSelector) for node in query.nodes)
    counters = [s for s in query.selectors if s.name and s.name.endswith(("_total", "_bucket", "_sum"))]
    of_new_series = 2 * query.expression.count(" unless ")
    assert len(counters) - of_new_series <= asked_for_a_rise


def test_every_metric_of_the_reference_is_looked_at_or_explained_elsewhere() -> None:
    """The dashboard leaves out nothing that a worker tells."""
    asked = {s.name for query in QUERIES for s in query.selectors}
    listed = {row[0] for row in rows(METRICS)}
    assert {name for name in listed if not any(str(a).startswith(name) for a in asked)} == set()


def test_panels_do_not_overlap_and_fill_the_width() -> None:
    """Each cell of the grid belongs to one panel at most, and no line of panels has a hole at its end."""
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken
        taken |= cells
    assert {x for x, _ in taken} == set(range(GRID_COLUMNS))
    assert len(taken) == GRID_COLUMNS * (1 + max(y for _, y in taken))


def test_panels_can_be_told_apart_and_say_what_they_show() -> None:
    """Ids and titles are unique; each panel has a description, a unit and a source that can be chosen."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in SHOWING:
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert sources == [{"type": "prometheus", "uid": "${datasource}"}] * len(sources)


def test_variables_of_the_dashboard_are_declared() -> None:
    """Each ``$name`` is one of the dashboard's own or of Grafana's, and workers are listed by a metric that exists."""
    declared = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used == {*declared, "__rate_interval"}
    [metric] = re.findall(r"label_values\((\w+), instance\)", declared["instance"]["definition"])
    assert metric in {row[0] for row in rows(METRICS)}


def test_rules_are_complete() -> None:
    """Each alert waits a while, has a severity and says what is the matter; Prometheus knows no other keys."""
    for rule in RULES:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert promql.parse_duration(rule["for"]).total_seconds() >= 60
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"Facematch[A-Z]\w+", name)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_templates_name_labels_that_the_alert_has(rule: dict[str, Any]) -> None:
    """A label that the query has aggregated away would be written as nothing."""
    text = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$labels\.(\w+)", text))
    outermost = [node for node in Query(rule["alert"], rule["expr"]).nodes if isinstance(node, promql.AggregateExpr)]
    kept = set(_labels_of(outermost[0])) if outermost else OF_THE_SCRAPE
    assert named <= kept


def test_every_alert_has_its_place_in_the_guide() -> None:
    """The runbook's heading exists, and the guide explains no alert that is not there."""
    links = [rule["annotations"]["runbook_url"] for rule in RULES]
    assert links == [f"{GUIDE}#{rule['alert'].lower()}" for rule in RULES]
    headings = set(re.findall(r"^### (Facematch\w+)$", GUIDE.text, re.MULTILINE))
    assert headings == {rule["alert"] for rule in RULES}
    assert {rule["alert"].lower() for rule in RULES} <= Page(GUIDE.path).anchors


def test_every_alert_has_a_scenario_in_which_it_fires() -> None:
    """What is played through is every alert."""
    files = (ROOT / "infra/prometheus").glob("*.test.yaml")
    scenarios = [scenario for file in files for scenario in yaml.safe_load(file.read_text())["tests"]]
    told = {test["alertname"] for s in scenarios for test in s.get("alert_rule_test", []) if test["exp_alerts"]}
    samples = [sample for s in scenarios for test in s.get("promql_expr_test", []) for sample in test["exp_samples"]]
    told.update(*(re.findall(r'alertname="(\w+)"', sample["labels"]) for sample in samples))
    assert told == {rule["alert"] for rule in RULES}


def _labels_of(aggregation: promql.AggregateExpr) -> list[str]:
    """Return what an aggregation groups by."""
    modifier = aggregation.modifier
    if modifier is None:
        return []
    assert modifier.type == promql.AggModifierType.By
    return list(modifier.labels)

"""What is counted, once, and under which names."""

from uuid import UUID

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from adapters.telemetry.gauges import observe, observe_events, observe_readiness
from adapters.telemetry.instruments import Instruments
from domain.outcomes import Reason
from domain.records import Failed, Matched, Outcome, Skipped
from tests.contract.telemetry.samples import (
    COMPARISON,
    FACE,
    GIVEN_UP,
    MATCHED,
    NO_FACE,
    NOT_PARSED,
    STORED_AT,
    TIMINGS,
    USER,
    SampleDelivery,
    record,
)
from tests.fakes.gauges import FixedGauges
from tests.unit.adapters.telemetry.conftest import Observed


def test_jobs_are_counted_by_outcome_and_reason(observed: Observed) -> None:
    """A repetition is no new job."""
    for outcome, repeated in ((MATCHED, False), (MATCHED, True), (NO_FACE, False), (NO_FACE, False)):
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.concluded(record(outcome), repeated=repeated)
    assert observed.metric("facematch.jobs") == {
        (("outcome", "matched"), ("reason", "")): 1,
        (("outcome", "skipped"), ("reason", "no_face")): 2,
    }


def test_dead_letters_are_counted_by_reason(observed: Observed) -> None:
    """Failed and malformed jobs, not what was skipped, and none twice."""
    for outcome, repeated in ((GIVEN_UP, False), (GIVEN_UP, True), (NOT_PARSED, False), (NO_FACE, False)):
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.concluded(record(outcome), repeated=repeated)
    assert observed.metric("facematch.dead_letters") == {
        (("reason", "malformed_payload"),): 1,
        (("reason", "storage_unavailable"),): 1,
    }


def test_retries_and_redeliveries_are_counted(observed: Observed) -> None:
    """The first delivery is no redelivery."""
    for number in (1, 2, 3):
        with observed.telemetry.job(SampleDelivery(number=number)) as trace:
            trace.attempt_failed(Reason.EMBEDDER_CRASHED, "signal 11", retry_after_seconds=1)
    assert observed.metric("facematch.retries") == {(("reason", "embedder_crashed"),): 3}
    assert observed.metric("facematch.redeliveries") == {(): 2}


def test_jobs_in_hand_are_counted_up_and_down(observed: Observed) -> None:
    """Also when a job ends with an error."""
    with observed.telemetry.job(SampleDelivery()), observed.telemetry.job(SampleDelivery()):
        assert observed.metric("facematch.jobs.in_flight") == {(): 2}
    with pytest.raises(RuntimeError), observed.telemetry.job(SampleDelivery()):
        raise RuntimeError
    assert observed.metric("facematch.jobs.in_flight") == {(): 0}


def test_durations_are_recorded(observed: Observed) -> None:
    """Each stage, each delivery by what became of it, and the wait of first deliveries."""
    for number in (1, 2):
        with observed.telemetry.job(SampleDelivery(number=number)) as trace, trace.stage("vision"):
            trace.record_timings(TIMINGS)
            trace.released("the worker stops")
    assert observed.metric("facematch.stage.duration") == {
        (("stage", "decode"),): 2,
        (("stage", "detect"),): 2,
        (("stage", "vision"),): 2,
    }
    assert observed.metric("facematch.job.duration") == {(("action", "released"),): 2}
    assert observed.metric("facematch.queue.wait") == {(): 1}


def test_outages_holds_and_orphans_are_counted(observed: Observed) -> None:
    """By dependency, where there is one."""
    observed.telemetry.dependency_down("database", "no answer")
    observed.telemetry.orphans_published(3)
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.held("database", "no answer")
    assert observed.metric("facematch.outages") == {(("dependency", "database"),): 1}
    assert observed.metric("facematch.jobs.held") == {(("dependency", "database"),): 1}
    assert observed.metric("facematch.events.orphaned") == {(): 3}


def test_gauges_are_read_when_they_are_asked_for() -> None:
    """A worker's gauges show what its parts say now; what is not known yet has no line."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False, disable_target_info=True)
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    connections = {"used": 3, "idle": 1, "waiting": 4, "maximum": 8}
    gauges = FixedGauges(
        jobs={},
        oldest_age=None,
        dead_letters=None,
        users={},
        vision_restarts=2,
        vision_memory=0,
        connections=connections,
    )
    observe(Instruments(meter), gauges)
    before = generate_latest(registry).decode()
    for unknown in ("facematch_queue_", "facematch_dead_letters_kept", "facematch_vision_memory_bytes"):
        assert unknown not in before
    gauges.jobs = {"pending": 10, "ack_pending": 2, "redelivered": 1}
    gauges.users = {"dlib@2": 20}
    gauges.oldest_age = 12.5
    gauges.dead_letters = 0
    gauges.vision_memory = 300
    text = generate_latest(registry).decode()
    pool = 'db_client_connection_pool_name="facematch"'
    for line in (
        'facematch_queue_jobs{state="pending"} 10.0',
        'facematch_queue_jobs{state="ack_pending"} 2.0',
        'facematch_queue_jobs{state="redelivered"} 1.0',
        "facematch_queue_oldest_age_seconds 12.5",
        'facematch_gallery_users{embedder="dlib@2"} 20.0',
        "facematch_vision_restarts_total 2.0",
        "facematch_vision_memory_bytes 300.0",
        "facematch_dead_letters_kept 0.0",
        f'db_client_connection_count{{{pool},db_client_connection_state="used"}} 3.0',
        f'db_client_connection_count{{{pool},db_client_connection_state="idle"}} 1.0',
        f"db_client_connection_max{{{pool}}} 8.0",
        f"db_client_connection_pending_requests{{{pool}}} 4.0",
    ):
        assert line in text.splitlines()


def test_the_age_of_the_oldest_event_is_shown_where_it_is_known() -> None:
    """In seconds; an outbox that cannot be read has no age, rather than an age of 0."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False, disable_target_info=True)
    ages = [25.0, None]
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    observe_events(Instruments(meter), ages.pop)
    assert "facematch_events_oldest_" not in generate_latest(registry).decode()
    assert "facematch_events_oldest_age_seconds 25.0" in generate_latest(registry).decode().splitlines()


def test_the_first_of_its_kind_is_a_rise(observed: Observed) -> None:
    """Every outcome that there is, retry and dead letter shows as zero before it happens, and counts from there."""
    observed.instruments.start_from_zero([])
    before = {name: observed.metric(name) for name in ("facematch.jobs", "facematch.dead_letters")}
    outcomes: list[Outcome] = [Matched(USER, UUID(int=5), FACE, COMPARISON)]
    outcomes += [Failed(reason, "") if reason.is_failure else Skipped(reason, "") for reason in Reason]
    for outcome in outcomes:
        with observed.telemetry.job(SampleDelivery()) as trace:
            trace.concluded(record(outcome), repeated=False)
    for name, zeros in before.items():
        assert set(zeros.values()) == {0}
        assert observed.metric(name) == dict.fromkeys(zeros, 1)
    assert observed.metric("facematch.retries").keys() == {(("reason", r.value),) for r in Reason if r.is_failure}
    assert observed.metric("facematch.redeliveries") == observed.metric("facematch.jobs.in_flight") == {(): 0}


def test_the_first_outage_of_each_dependency_is_a_rise(observed: Observed) -> None:
    """Outages, and the jobs that wait for their end, count from zero."""
    observed.instruments.start_from_zero(["database", "object store"])
    zeros = {(("dependency", "database"),): 0, (("dependency", "object store"),): 0}
    names = ("facematch.outages", "facematch.jobs.held")
    assert [observed.metric(name) for name in names] == [zeros, zeros]
    observed.telemetry.dependency_down("object store", "no answer")
    with observed.telemetry.job(SampleDelivery()) as trace:
        trace.held("object store", "no answer")
    once = zeros | {(("dependency", "object store"),): 1}
    assert [observed.metric(name) for name in names] == [once, once]


def test_readiness_is_told_with_its_causes() -> None:
    """One worker that takes jobs counts as one; of one that does not, each cause has a line."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False, disable_target_info=True)
    reasons = {"worker": "starting"}
    observe_readiness(Instruments(MeterProvider([reader], shutdown_on_exit=False).get_meter("test")), lambda: reasons)
    starting = generate_latest(registry).decode().splitlines()
    reasons.clear()
    ready = generate_latest(registry).decode().splitlines()
    assert {"facematch_worker_ready 0.0", 'facematch_worker_not_ready{cause="worker"} 1.0'} <= set(starting)
    assert [line for line in ready if line.startswith("facematch_worker_")] == ["facematch_worker_ready 1.0"]


def test_a_wait_of_days_has_a_bucket(observed: Observed) -> None:
    """A backlog after a weekend is measured, not just known to be longer than a minute."""
    assert STORED_AT.year == 2026
    with observed.telemetry.job(SampleDelivery()):
        pass
    data = observed.reader.get_metrics_data()
    assert data is not None
    [bounds] = [
        point.explicit_bounds
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        if metric.name == "facematch.queue.wait"
        for point in metric.data.data_points
        if hasattr(point, "explicit_bounds")
    ]
    assert max(bounds) == 86400.0

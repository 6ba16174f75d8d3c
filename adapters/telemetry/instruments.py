"""The metrics, by OpenTelemetry's API; their names and units are listed in ``docs/reference/telemetry.md``."""

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from domain.outcomes import OutcomeKind, Reason

_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
_WAIT_BUCKETS = [0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0]
Attributes = dict[str, Any]
Read = Callable[[], Iterable[tuple[float, Attributes]]]


class Instruments:
    """Every instrument that the service has."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.jobs = meter.create_counter("facematch.jobs", "{job}", "Finished jobs by outcome and reason")
        self.job_duration = meter.create_histogram(
            "facematch.job.duration", "s", "Delivery to acknowledgement", explicit_bucket_boundaries_advisory=_BUCKETS
        )
        self.stage_duration = meter.create_histogram(
            "facematch.stage.duration", "s", "Duration of a stage", explicit_bucket_boundaries_advisory=_BUCKETS
        )
        self.queue_wait = meter.create_histogram(
            "facematch.queue.wait", "s", "Stored to first delivery", explicit_bucket_boundaries_advisory=_WAIT_BUCKETS
        )
        self.in_flight = meter.create_up_down_counter("facematch.jobs.in_flight", "{job}", "Jobs in hand")
        self.held = meter.create_counter("facematch.jobs.held", "{job}", "Jobs that waited for a dependency")
        self.retries = meter.create_counter("facematch.retries", "{attempt}", "Attempts that will be repeated")
        self.redeliveries = meter.create_counter("facematch.redeliveries", "{delivery}", "Deliveries but the first")
        self.dead_letters = meter.create_counter("facematch.dead_letters", "{job}", "Jobs that were given up")
        self.orphans = meter.create_counter("facematch.events.orphaned", "{event}", "Events of a worker that died")
        self.outages = meter.create_counter("facematch.outages", "{outage}", "Dependencies that went away")

    def start_from_zero(self, dependencies: Iterable[str]) -> None:
        """Show what can be counted before it is: what rises from nothing has no rate, and the first would be missed."""
        for dependency in dependencies:
            self.outages.add(0, {"dependency": dependency})
            self.held.add(0, {"dependency": dependency})
        for reason in (None, *Reason):
            kind = OutcomeKind.MATCHED if reason is None else reason.kind
            self.jobs.add(0, {"outcome": kind.value, "reason": reason.value if reason else ""})
        for reason in (reason for reason in Reason if reason.is_failure):
            self.retries.add(0, {"reason": reason.value})
            self.dead_letters.add(0, {"reason": reason.value})
        self.dead_letters.add(0, {"reason": Reason.MALFORMED_PAYLOAD.value})
        for counter in (self.in_flight, self.redeliveries, self.orphans):
            counter.add(0)

    def gauge(self, name: str, unit: str, description: str, read: Read) -> None:
        """Register a figure that is read when metrics are collected."""
        self._meter.create_observable_gauge(name, [_observing(read)], unit, description)

    def counter(self, name: str, unit: str, description: str, read: Read) -> None:
        """Register a figure that only grows, read when metrics are collected."""
        self._meter.create_observable_counter(name, [_observing(read)], unit, description)


def _observing(read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe_now(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, attributes) for value, attributes in read()]

    return observe_now

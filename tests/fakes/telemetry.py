"""Telemetry that remembers what it was told."""

from collections.abc import Iterator
from contextlib import contextmanager

from application.ports.job_queue import Delivery
from domain.faces import StageTiming
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord


class RecordingJobTrace:
    """One delivery's trace: every call, in lists named after the methods."""

    def __init__(self, delivery: Delivery | None = None, traceparent: str | None = None) -> None:
        self.delivery = delivery
        self.is_open = True
        self.request: MatchJob | MalformedJob | None = None
        self.stage_names: list[str] = []
        self.conclusions: list[tuple[JobRecord, bool]] = []
        self.failures: list[tuple[Reason, str, float]] = []
        self.errors: list[Exception] = []
        self.holds: list[tuple[str, str]] = []
        self.releases: list[str] = []
        self.unsettled_details: list[str] = []
        self._traceparent = traceparent

    @property
    def traceparent(self) -> str | None:
        """What the test gave."""
        return self._traceparent

    def identify(self, job: MatchJob | MalformedJob) -> None:
        """Remember the request."""
        self.request = job

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Remember the stage's name."""
        self.stage_names.append(name)
        yield

    def record_timings(self, timings: tuple[StageTiming, ...]) -> None:
        """Remember their names."""
        self.stage_names.extend(timing.name for timing in timings)

    def concluded(self, record: JobRecord, *, repeated: bool) -> None:
        """Remember the outcome, and whether it is a repetition."""
        self.conclusions.append((record, repeated))

    def attempt_failed(self, reason: Reason, detail: str, *, retry_after_seconds: float) -> None:
        """Remember the failure."""
        self.failures.append((reason, detail, retry_after_seconds))

    def unexpected(self, error: Exception) -> None:
        """Remember the error."""
        self.errors.append(error)

    def held(self, dependency: str, reason: str) -> None:
        """Remember what the job waits for."""
        self.holds.append((dependency, reason))

    def released(self, why: str) -> None:
        """Remember why."""
        self.releases.append(why)

    def unsettled(self, detail: str) -> None:
        """Remember what the broker did not confirm."""
        self.unsettled_details.append(detail)


class RecordingTelemetry:
    """Every trace in ``jobs``; dependencies as they went ``down`` and came ``up``; ``orphans`` in all; ``errors``."""

    def __init__(self, traceparent: str | None = None) -> None:
        self.jobs: list[RecordingJobTrace] = []
        self.down: list[tuple[str, str]] = []
        self.up: list[tuple[str, float]] = []
        self.orphans = 0
        self.errors: list[Exception] = []
        self._traceparent = traceparent

    @contextmanager
    def job(self, delivery: Delivery) -> Iterator[RecordingJobTrace]:
        """Open a trace."""
        trace = RecordingJobTrace(delivery, self._traceparent)
        self.jobs.append(trace)
        try:
            yield trace
        finally:
            trace.is_open = False

    def dependency_down(self, dependency: str, reason: str) -> None:
        """Remember."""
        self.down.append((dependency, reason))

    def dependency_up(self, dependency: str, *, after_seconds: float) -> None:
        """Remember."""
        self.up.append((dependency, after_seconds))

    def orphans_published(self, count: int) -> None:
        """Add."""
        self.orphans += count

    def unexpected(self, error: Exception) -> None:
        """Remember the error."""
        self.errors.append(error)

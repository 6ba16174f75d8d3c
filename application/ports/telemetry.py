"""How the use cases report what they do: one trace, one canonical log line and the metrics of each job."""

from contextlib import AbstractContextManager
from typing import Protocol

from application.ports.job_queue import Delivery
from domain.faces import StageTiming
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord


class JobTrace(Protocol):
    """The trace of one delivery while it is handled."""

    @property
    def traceparent(self) -> str | None:
        """The W3C header that stands for this delivery's span; None when tracing is off."""

    def identify(self, job: MatchJob | MalformedJob) -> None:
        """Tell which photo and job this is, once the request has been parsed."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time a stage of the job: a span, a histogram and a figure in the canonical line."""

    def record_timings(self, timings: tuple[StageTiming, ...]) -> None:
        """Report stages that ran in another process."""

    def concluded(self, record: JobRecord, *, repeated: bool) -> None:
        """Report the job's outcome; ``repeated`` when it had been recorded by an earlier delivery."""

    def attempt_failed(self, reason: Reason, detail: str, *, retry_after_seconds: float) -> None:
        """Report that this delivery ended without an outcome and will be repeated."""

    def unexpected(self, error: Exception) -> None:
        """Report an error that nobody foresaw, with its stack trace."""

    def held(self, dependency: str, reason: str) -> None:
        """Report that the job waits, in hand, for a dependency that is down for everyone."""

    def released(self, why: str) -> None:
        """Report that this delivery is left: the job was given back for another worker, or is in hand already."""

    def unsettled(self, detail: str) -> None:
        """Report that the broker did not confirm the job's end: it will be delivered again."""


class Telemetry(Protocol):
    """Opens traces."""

    def job(self, delivery: Delivery) -> AbstractContextManager[JobTrace]:
        """Open the trace of a delivery, continuing the publisher's; close it when the delivery is handled."""

    def dependency_down(self, dependency: str, reason: str) -> None:
        """Report that the worker pauses for a dependency."""

    def dependency_up(self, dependency: str, *, after_seconds: float) -> None:
        """Report that a dependency answers again."""

    def orphans_published(self, count: int) -> None:
        """Report events that were published in place of a worker that died."""

    def unexpected(self, error: Exception) -> None:
        """Report an error that nobody foresaw and that belongs to no job in hand, with its stack trace."""

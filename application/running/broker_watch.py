"""Whether the message broker does what it is asked, as seen by those who ask.

No probe tells, as it does for :mod:`application.running.outages`: a broker that answers may still refuse the events of
one kind of outcome. And there is no job to hold: all is done but that it be settled.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import attrs

from application.ports.announcements import DeadLetters, ResultPublisher
from application.ports.clock import Clock
from application.ports.job_queue import Delivery
from application.ports.telemetry import Telemetry
from application.running.event_relay import LONGEST_SET_BACK_SECONDS
from domain.errors import MessagingUnavailableError
from domain.records import JobRecord

BROKER = "message broker"
_FETCHING = "fetching"
_SHORTEST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0


@attrs.frozen
class _Problem:
    """What was said last, and when."""

    reason: str
    told_at: float


class BrokerWatch:
    """Reports the broker down while anything that was asked of it fails, and up when all of it works again.

    A publication that fails is tried again when its job is delivered again, after ``ack_wait_seconds``, or by the
    relay; either may be another worker's. A problem that has not shown for twice the longer time is taken to be over.
    """

    def __init__(self, *, clock: Clock, telemetry: Telemetry, ack_wait_seconds: float) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._forget_seconds = 2 * max(ack_wait_seconds, LONGEST_SET_BACK_SECONDS)
        self._problems: dict[str, _Problem] = {}
        self._down_since = 0.0
        self._doubt_since: float | None = None

    @property
    def problem(self) -> str | None:
        """What fails, in words; None where nothing does."""
        return "; ".join(dict.fromkeys(problem.reason for problem in self._problems.values())) or None

    def pause(self) -> float | None:
        """Return the seconds to wait before trying one job, 1 growing to 5, while the last publication failed.

        None: run at full concurrency. The last one counts, of whatever kind: what concerns one kind of outcome, or one
        job alone, is a problem but does not hold up the others.
        """
        self._forget()
        if self._doubt_since is None:
            return None
        return min(max(self._clock.monotonic() - self._doubt_since, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)

    def fetching(self) -> AbstractContextManager[None]:
        """Learn from a fetch."""
        return self._asking(_FETCHING)

    @contextmanager
    def publishing(self, what: str) -> Iterator[None]:
        """Learn from a publication; those of ``what`` are a problem until one of them succeeds."""
        try:
            with self._asking(what):
                yield
        except MessagingUnavailableError:
            if self._doubt_since is None:
                self._doubt_since = self._clock.monotonic()
            raise
        self._doubt_since = None

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except MessagingUnavailableError as error:
            now = self._clock.monotonic()
            if not self._problems:
                self._telemetry.dependency_down(BROKER, str(error))
                self._down_since = now
            self._problems[what] = _Problem(str(error), now)
            raise
        self._solved(what)

    def _forget(self) -> None:
        now = self._clock.monotonic()
        for what, problem in list(self._problems.items()):
            if what != _FETCHING and now - problem.told_at >= self._forget_seconds:
                self._solved(what)
        if not self._problems.keys() - {_FETCHING}:
            self._doubt_since = None

    def _solved(self, what: str) -> None:
        if self._problems.pop(what, None) is not None and not self._problems:
            self._telemetry.dependency_up(BROKER, after_seconds=self._clock.monotonic() - self._down_since)


@attrs.frozen
class WatchedResults:
    """Result events whose publication tells the watch."""

    results: ResultPublisher
    watch: BrokerWatch

    async def publish(self, record: JobRecord) -> None:
        """Publish the event of an outcome."""
        with self.watch.publishing(f"{record.outcome.kind} events"):
            await self.results.publish(record)


@attrs.frozen
class WatchedDeadLetters:
    """Dead letters whose publication tells the watch."""

    dead_letters: DeadLetters
    watch: BrokerWatch

    async def publish(self, delivery: Delivery, record: JobRecord) -> None:
        """Store the copy of a job that will not be delivered again."""
        with self.watch.publishing("dead letters"):
            await self.dead_letters.publish(delivery, record)

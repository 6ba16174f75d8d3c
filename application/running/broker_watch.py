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
_DEAD_LETTERS = "dead letters"
_SHORTEST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0


@attrs.frozen
class _Problem:
    """What was said last, and when; it is ``alone`` once events that were published after it have been stored."""

    reason: str
    told_at: float
    alone: bool


class BrokerWatch:
    """Tells telemetry the broker down while anything that was asked of it fails, and up when all of it works again.

    What is refused alone keeps nobody from other jobs, and is no ``problem`` for them.

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
        """Why no job is fetched, or none can be settled, in words; None where neither is so.

        The relay tries an event again within its longest pause: what has not failed for twice that time is in no doubt.
        """
        since = self._clock.monotonic() - 2 * LONGEST_SET_BACK_SECONDS
        reasons = (
            problem.reason
            for what, problem in tuple(self._problems.items())
            if what == _FETCHING or (problem.told_at > since and not problem.alone)
        )
        return "; ".join(dict.fromkeys(reasons)) or None

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
        """Learn from a publication; those of ``what`` fail until one of them succeeds."""
        began = self._clock.monotonic()
        try:
            with self._asking(what):
                yield
        except MessagingUnavailableError:
            if self._doubt_since is None:
                self._doubt_since = self._clock.monotonic()
            raise
        self._doubt_since = None
        if what != _DEAD_LETTERS:
            self._events_stored(began)

    def _events_stored(self, began: float) -> None:
        """Learn that what was refused before this publication is refused alone."""
        for what, problem in self._problems.items():
            if problem.told_at <= began:
                self._problems[what] = attrs.evolve(problem, alone=True)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except MessagingUnavailableError as error:
            now = self._clock.monotonic()
            if not self._problems:
                self._telemetry.dependency_down(BROKER, str(error))
                self._down_since = now
            known = self._problems.get(what)
            self._problems[what] = _Problem(str(error), now, alone=known is not None and known.alone)
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
        with self.watch.publishing(_DEAD_LETTERS):
            await self.dead_letters.publish(delivery, record)

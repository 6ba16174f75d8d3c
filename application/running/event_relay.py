"""The outbox: no event is lost when a process dies between commit and publish."""

import asyncio
from contextlib import suppress
from typing import Final

import attrs

from application.ports.announcements import ResultPublisher
from application.ports.clock import Clock
from application.ports.ledger import Outbox
from application.ports.telemetry import Telemetry
from application.running.outages import Outages, StoppingError
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError
from domain.jobs import JobKey
from domain.records import JobRecord

_BATCH = 100
_MOST_BATCHES = 50
_MOST_PASSED_OVER = 10 * _BATCH
"""So many are read again in each round of an outage, however many wait."""
_INTERVAL_SECONDS = 1.0
LONGEST_SET_BACK_SECONDS: Final = 60.0
"""An event that was refused, however often, is tried again in the first round after this time."""


@attrs.frozen
class _Refusal:
    """An event that could not be published although the broker was there: how often, and until when to leave it."""

    times: int
    until: float


class EventRelay:
    """Marks what this worker published, and publishes what a dead one left behind.

    An event that is still unmarked ``orphan_seconds`` after its outcome is taken for an orphan. Publishing one
    that was not is harmless: it is the same event with the same identity. An event that is refused while others
    are stored, by the relay or by this worker's jobs, is tried ever more rarely. While none is stored, which may be an
    outage, each round tries the next batch, and begins again with the oldest after the last, or after a thousand. So
    fewer than these hold up no other. That it asks the database all the time is also how an idle worker learns that
    the database is away.

    ``oldest_age`` is the seconds since the oldest outcome, of any worker, whose event is not published; 0 where there
    is none, None while unknown.
    """

    def __init__(
        self,
        outbox: Outbox,
        results: ResultPublisher,
        *,
        clock: Clock,
        telemetry: Telemetry,
        outages: Outages,
        orphan_seconds: float = 2.0,
    ) -> None:
        self._outbox = outbox
        self._results = results
        self._clock = clock
        self._telemetry = telemetry
        self._outages = outages
        self._orphan_seconds = orphan_seconds
        self.oldest_age: float | None = None
        self._published: list[JobKey] = []
        self._refused: dict[JobKey, _Refusal] = {}
        self._passed_over: set[JobKey] = set()
        self._any_stored = False

    def published(self, key: JobKey) -> None:
        """Remember that this event is stored; it is marked in the next round."""
        self._published.append(key)
        self._any_stored = True

    async def run(self) -> None:
        """Do a round now and then, until cancelled."""
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - a defect in one round must not end the rounds
                self.oldest_age = None
                self._telemetry.unexpected(error)
            await self._clock.sleep(_INTERVAL_SECONDS)

    async def round(self) -> None:
        """Mark, then publish orphans, batch after batch as long as there are more and any can be stored.

        A database that is down is told, and left to the next round.
        """
        try:
            await self.flush()
            for _ in range(_MOST_BATCHES):
                orphans = await self._orphans()
                stored = await self._adopt(orphans)
                await self.flush()
                if not stored or len(orphans) < _BATCH:
                    break
        except DatabaseUnavailableError as error:
            self.oldest_age = None
            with suppress(StoppingError):
                await self._outages.outage_behind(error)

    async def flush(self) -> None:
        """Mark everything that this worker has published.

        Raises:
            DatabaseUnavailableError: no answer; nothing is forgotten.

        """
        keys = tuple(self._published)
        if keys:
            await self._outbox.mark_published(keys)
            del self._published[: len(keys)]

    async def _orphans(self) -> list[JobRecord]:
        """Return the oldest events that nobody has published, without those that are left alone for now."""
        if len(self._passed_over) >= _MOST_PASSED_OVER:
            self._passed_over.clear()
        skipped = self._refused.keys() | self._passed_over
        waiting = await self._outbox.unpublished(older_than_seconds=self._orphan_seconds, limit=_BATCH + len(skipped))
        self.oldest_age = self._age(waiting[0]) if waiting else 0.0
        if len(waiting) < _BATCH + len(skipped):
            keys = {record.key for record in waiting}
            self._refused = {key: refusal for key, refusal in self._refused.items() if key in keys}
        now = self._clock.monotonic()
        left_alone = {key for key, refusal in self._refused.items() if refusal.until > now}
        left_alone.update(self._published)
        orphans = [record for record in waiting if record.key not in left_alone]
        if untried := [record for record in orphans if record.key not in self._passed_over]:
            return untried
        self._passed_over.clear()
        return orphans[:_BATCH]

    def _age(self, record: JobRecord) -> float:
        return max(0.0, (self._clock.now() - record.occurred_at).total_seconds())

    async def _adopt(self, orphans: list[JobRecord]) -> int:
        """Publish each for itself, so that none stands in the way of another; return how many are stored."""
        errors = await asyncio.gather(*map(self._publish, orphans))
        stored = [record.key for record, error in zip(orphans, errors, strict=True) if error is None]
        if stored:
            self._published += stored
            self._telemetry.orphans_published(len(stored))
        any_stored = bool(stored) or self._any_stored
        if any_stored:
            self._passed_over.clear()
        for record, error in zip(orphans, errors, strict=True):
            if error is None:
                continue
            if any_stored or not isinstance(error, MessagingUnavailableError):
                self._set_back(record.key, error)
            else:
                self._passed_over.add(record.key)
        if orphans:
            self._any_stored = bool(stored)
        return len(stored)

    async def _publish(self, record: JobRecord) -> Exception | None:
        try:
            await self._results.publish(record)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one event, the others can do without it
            return error
        return None

    def _set_back(self, key: JobKey, error: Exception) -> None:
        times = self._refused[key].times + 1 if key in self._refused else 1
        pause = min(times * _INTERVAL_SECONDS, LONGEST_SET_BACK_SECONDS)
        self._refused[key] = _Refusal(times, self._clock.monotonic() + pause)
        if not isinstance(error, MessagingUnavailableError):
            self._telemetry.unexpected(error)

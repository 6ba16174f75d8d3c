"""The outbox: no event is lost when a process dies between commit and publish."""

import asyncio

from application.ports.announcements import ResultPublisher
from application.ports.clock import Clock
from application.ports.ledger import Outbox
from application.ports.telemetry import Telemetry
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError
from domain.jobs import JobKey

_BATCH = 100


class EventRelay:
    """Marks what this worker published, and publishes what a dead one left behind.

    An event that is still unmarked ``orphan_seconds`` after its outcome is taken for an orphan. Publishing one
    that was not is harmless: it is the same event with the same identity.
    """

    def __init__(
        self,
        outbox: Outbox,
        results: ResultPublisher,
        *,
        clock: Clock,
        telemetry: Telemetry,
        orphan_seconds: float = 2.0,
        interval_seconds: float = 1.0,
    ) -> None:
        self._outbox = outbox
        self._results = results
        self._clock = clock
        self._telemetry = telemetry
        self._orphan_seconds = orphan_seconds
        self._interval_seconds = interval_seconds
        self._published: list[JobKey] = []

    def published(self, key: JobKey) -> None:
        """Remember that this event is stored; it is marked in the next round."""
        self._published.append(key)

    async def run(self) -> None:
        """Do a round now and then, until cancelled."""
        while True:
            await self.round()
            await self._clock.sleep(self._interval_seconds)

    async def round(self) -> None:
        """Mark, then look for orphans. A dependency that is down is left to the next round."""
        try:
            await self.flush()
            orphans = await self._outbox.unpublished(older_than_seconds=self._orphan_seconds, limit=_BATCH)
            if orphans:
                await asyncio.gather(*(self._results.publish(record) for record in orphans))
                await self._outbox.mark_published([record.key for record in orphans])
                self._telemetry.orphans_published(len(orphans))
        except (DatabaseUnavailableError, MessagingUnavailableError):
            return

    async def flush(self) -> None:
        """Mark everything that this worker has published.

        Raises:
            DatabaseUnavailableError: no answer; nothing is forgotten.

        """
        keys, self._published = self._published, []
        if not keys:
            return
        try:
            await self._outbox.mark_published(keys)
        except DatabaseUnavailableError:
            self._published = keys + self._published
            raise

"""The gauges that a worker shows of what it shares with others: the queue, the gallery, its pools."""

from collections.abc import Callable, Mapping

import attrs

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.clock import Clock
from application.ports.dead_letter_box import DeadLetterBox
from application.ports.face_pipeline import EmbedderInfo
from application.ports.statistics import QueueState, QueueStatistics
from application.ports.telemetry import Telemetry
from domain.errors import DatabaseUnavailableError, MessagingUnavailableError

_INTERVAL_SECONDS = 10.0


@attrs.define(kw_only=True)
class GaugeWatch:
    """Asks broker and database now and then, so that whoever collects metrics need not wait for them.

    It is what a worker's gauges read: :class:`adapters.telemetry.gauges.WorkerGauges`. ``report_slow_search`` hears
    once, with the number of users, that searches could be faster.
    """

    _queue: QueueStatistics
    _box: DeadLetterBox
    _gallery: PostgresGallery
    _database: Database
    _reader: ProcessPoolFaceReader
    _clock: Clock
    _telemetry: Telemetry
    _report_slow_search: Callable[[int], None]
    jobs: Mapping[str, int] = attrs.field(factory=dict, init=False)
    oldest_age: float | None = attrs.field(default=None, init=False)
    dead_letters: int | None = attrs.field(default=None, init=False)
    users: Mapping[str, int] = attrs.field(factory=dict, init=False)
    _told_of_slowness: bool = attrs.field(default=False, init=False)

    @property
    def vision_restarts(self) -> int:
        """As the pool of vision counts them."""
        return self._reader.restarts

    @property
    def vision_memory(self) -> int:
        """As the pool of vision measures it."""
        return self._reader.memory

    @property
    def connections(self) -> Mapping[str, int]:
        """As the pool of the database counts them."""
        return attrs.asdict(self._database.use)

    async def run(self) -> None:
        """Look every ten seconds, until cancelled; what does not answer is not known."""
        info = self._reader.info
        while True:
            try:
                self._show(await self._queue.look())
            except Exception as error:  # noqa: BLE001 - what cannot be known is not shown, and the watch goes on
                self.jobs, self.oldest_age = {}, None
                self._report(error)
            try:
                self.users = {info.id: await self._gallery.size(info.id)}
                await self._look_at_search(info)
            except Exception as error:  # noqa: BLE001 - same
                self.users = {}
                self._report(error)
            try:
                self.dead_letters = (await self._box.extent()).count
            except Exception as error:  # noqa: BLE001 - same; nobody answers a user who may not look there
                self.dead_letters = None
                self._report(error)
            await self._clock.sleep(_INTERVAL_SECONDS)

    async def _look_at_search(self, info: EmbedderInfo) -> None:
        if not self._told_of_slowness and await self._gallery.is_slow(info.id, info.dimension):
            self._told_of_slowness = True
            self._report_slow_search(await self._gallery.size(info.id))

    def _show(self, queue: QueueState) -> None:
        self.jobs = {"pending": queue.pending, "ack_pending": queue.ack_pending, "redelivered": queue.redelivered}
        if queue.oldest is not None:
            self.oldest_age = max(0.0, (self._clock.now() - queue.oldest).total_seconds())
        else:
            self.oldest_age = None if queue.pending or queue.ack_pending else 0.0

    def _report(self, error: Exception) -> None:
        """Report a defect; an outage is reported by whoever works."""
        if not isinstance(error, DatabaseUnavailableError | MessagingUnavailableError):
            self._telemetry.unexpected(error)

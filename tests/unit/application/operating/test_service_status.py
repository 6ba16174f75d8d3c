"""What can be seen of the service, whatever cannot."""

from datetime import UTC, datetime

from application.operating.service_status import DeadLetterReasons, ServiceStatus
from tests.fakes.database import InMemoryDatabase
from tests.fakes.dead_letter_box import InMemoryDeadLetterBox
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.statistics import InMemoryLedgerStatistics, InMemoryQueueStatistics


async def test_what_is_away_hides_nothing_else() -> None:
    """Each part that fails is a problem of its own, the other parts are seen."""
    queue, database, box = InMemoryJobQueue(), InMemoryDatabase(), InMemoryDeadLetterBox()
    queue.publish(b"x")
    box.available = False
    database.failing.add("gallery")
    status = ServiceStatus(datetime(2026, 5, 1, 12, tzinfo=UTC))
    await status.look_at_broker(InMemoryQueueStatistics(queue), box, DeadLetterReasons())
    await status.look_at_database(InMemoryLedgerStatistics(database))
    assert status.queue is not None
    assert (status.queue.pending, status.letters, status.gallery) == (1, None, None)
    assert status.outcomes is not None
    assert set(status.problems) == {"dead letters", "gallery"}

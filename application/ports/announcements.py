"""What the service tells the world: result events, and dead letters."""

from typing import Protocol

from application.ports.job_queue import Delivery
from domain.records import JobRecord


class ResultPublisher(Protocol):
    """Publishes result events, at least once."""

    async def publish(self, record: JobRecord) -> None:
        """Return when the event is stored; the same record again is the same event.

        Raises:
            MessagingUnavailableError: the broker did not confirm.

        """


class DeadLetters(Protocol):
    """Keeps the jobs that were given up."""

    async def publish(self, delivery: Delivery, record: JobRecord) -> None:
        """Store a copy of the job with the reason; return when it is stored.

        Raises:
            MessagingUnavailableError: the broker did not confirm.

        """

"""The queue's log in memory."""

import asyncio

from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey
from tests.fakes.queue import InMemoryJobQueue


class InMemoryJobArchive:
    """Everything that was ever stored in an :class:`InMemoryJobQueue`."""

    def __init__(self, queue: InMemoryJobQueue) -> None:
        self._queue = queue

    async def find(self, key: JobKey) -> bytes | None:
        """Look it up."""
        await asyncio.sleep(0)
        if not self._queue.available:
            raise MessagingUnavailableError("queue: no answer")
        return next((job.body for job in self._queue.jobs if job.key == key), None)

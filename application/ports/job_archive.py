"""The queue's log: jobs as they were published, settled or not, for as long as they are kept."""

from typing import Protocol

from domain.jobs import JobKey


class JobArchive(Protocol):
    """Reads single jobs, and takes none out of the queue."""

    async def find(self, key: JobKey) -> bytes | None:
        """Return the job's body; None when it is not kept any more.

        Raises:
            MessagingUnavailableError: the broker does not answer, or keeps no jobs.

        """

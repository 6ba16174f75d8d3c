"""Putting jobs into the queue in the place of lost ones, by several at once if need be."""

from collections.abc import Sequence
from typing import Protocol

from domain.jobs import MatchJob


class Republisher(Protocol):
    """Publishes many jobs, and no photo's twice."""

    async def publish(self, jobs: Sequence[MatchJob], *, unless_after: int) -> int:
        """Publish a job for each photo that got none in this way after that position of the queue.

        Returns how many were stored: the others were by somebody else who does the same. Jobs of the same position
        that several publish at the same time are stored once.

        Raises:
            MessagingUnavailableError: the broker did not confirm one; others may be stored.

        """

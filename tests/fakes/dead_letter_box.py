"""The box of dead letters in memory, beside the queue that they came from."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from application.ports.dead_letter_box import DeadLetter, Extent
from domain.errors import MessagingUnavailableError
from tests.fakes.queue import InMemoryJobQueue


class InMemoryDeadLetterBox:
    """``kept`` are the letters by sequence; ``queue`` gets what is sent again.

    ``available`` set to false makes everything fail; sequences put into ``failing`` cannot be sent again, and those in
    ``sticking`` cannot be deleted.
    """

    def __init__(self, queue: InMemoryJobQueue | None = None) -> None:
        self.available = True
        self.failing: set[int] = set()
        self.sticking: set[int] = set()
        self.kept: dict[int, DeadLetter] = {}
        self.queue = queue or InMemoryJobQueue()
        self._sent: set[tuple[int, datetime]] = set()
        self._newest = 0

    def put(self, letter: DeadLetter) -> None:
        """Keep a letter."""
        self.kept[letter.sequence] = letter
        self._newest = max(self._newest, letter.sequence)

    async def extent(self) -> Extent:
        """Count, and tell the last sequence that was ever given."""
        await self._reach()
        return Extent(len(self.kept), self._newest)

    async def letters(self, *, up_to: int, since: datetime | None = None, after: int = 0) -> AsyncIterator[DeadLetter]:
        """Go through what is there."""
        await self._reach()
        for sequence in sorted(self.kept):
            letter = self.kept[sequence]
            if after < sequence <= up_to and (since is None or letter.stored_at >= since):
                yield letter

    async def find(self, sequence: int) -> DeadLetter | None:
        """Look it up."""
        await self._reach()
        return self.kept.get(sequence)

    async def send_again(self, letter: DeadLetter) -> bool:
        """Publish into the queue unless this letter was."""
        await self._reach()
        if letter.sequence in self.failing:
            raise MessagingUnavailableError("send again: no answer")
        identity = letter.sequence, letter.stored_at
        if identity in self._sent:
            return False
        self._sent.add(identity)
        self.queue.publish(letter.body, letter.headers)
        return True

    async def discard(self, sequence: int) -> bool:
        """Delete it."""
        await self._reach()
        if sequence in self.sticking:
            raise MessagingUnavailableError("delete: no answer")
        return self.kept.pop(sequence, None) is not None

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if not self.available:
            raise MessagingUnavailableError("dead letters: no answer")

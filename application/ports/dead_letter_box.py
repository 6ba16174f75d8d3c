"""The jobs that were given up, for whoever repairs: to be read, sent again and thrown away."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Protocol

import attrs


@attrs.frozen
class DeadLetter:
    """A job that was given up, as it is kept.

    ``sequence`` is the letter's place among all that is kept with it, ``job_sequence`` the job's in the queue's log.
    ``reason`` is a word of :class:`domain.outcomes.Reason`, or one that another version knows. ``headers`` are those
    of the letter; the original's are among them. Where ``truncated_from`` is not None, the body had so many bytes and
    was too large to be kept whole. ``traceparent`` is the W3C header of the trace in which the job died, or else of its
    publisher's, as that wrote it.
    """

    sequence: int
    stored_at: datetime
    reason: str
    error: str
    deliveries: int | None
    job_sequence: int | None
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    truncated_from: int | None = None
    traceparent: str | None = None


@attrs.frozen
class Extent:
    """``count`` letters; ``newest``: the last sequence that was given where they are kept (0: never any)."""

    count: int
    newest: int


class DeadLetterBox(Protocol):
    """Where dead letters are kept.

    Every method raises :class:`domain.errors.MessagingUnavailableError` when the broker does not answer, or keeps no
    dead letters.
    """

    async def extent(self) -> Extent:
        """Return how many there are, and up to where, at one moment."""

    def letters(self, *, up_to: int, since: datetime | None = None, after: int = 0) -> AsyncIterator[DeadLetter]:
        """Go through the letters after one sequence up to another, oldest first, a few of them in memory at a time.

        With ``since`` those that were stored before are passed over, without being read, wherever they are.
        """

    async def find(self, sequence: int) -> DeadLetter | None:
        """Return the letter of that sequence, if it is there."""

    async def send_again(self, letter: DeadLetter) -> bool:
        """Put the job into the queue as a new one, and return when it is stored.

        Returns False where the queue has it already, because the same letter was sent again a short while ago.
        """

    async def discard(self, sequence: int) -> bool:
        """Delete a letter for good; return False where it was not there."""

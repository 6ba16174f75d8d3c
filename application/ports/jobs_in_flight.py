"""Which photos have a job in the queue that has not ended."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

import attrs


@attrs.frozen
class InFlight:
    """Those photos that have one; ``position`` is the number of the queue's last job when it was looked at."""

    photos: frozenset[UUID]
    position: int


class JobsInFlight(Protocol):
    """Looks into the queue, and takes nothing out of it. ``begin`` comes before ``among``."""

    async def begin(self) -> None:
        """Take a first look: what has a job now, waiting or in hand, counts from here on, whatever becomes of it.

        Raises:
            MessagingUnavailableError: the broker does not answer, or the queue is not there.

        """

    async def among(self, photos: Collection[UUID], *, look_again: bool = True) -> InFlight:
        """Return which of the photos have, or had since the beginning, a job that is waiting or in hand.

        Jobs that were published since then count too, even when they have ended meanwhile: what is said is true of the
        whole time, and everything published before this call is known to it. Unless ``look_again``, the answer is what
        was known at the last look, at no cost.

        Raises:
            MessagingUnavailableError: the broker does not answer, or the queue is not there.

        """

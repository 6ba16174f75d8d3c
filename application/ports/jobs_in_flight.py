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
    """Looks into the queue, and takes nothing out of it."""

    async def among(self, photos: Collection[UUID], *, look_again: bool = True) -> InFlight:
        """Return which of the photos have a job that is waiting, or in hand, or was one of these when first asked.

        Jobs that were published since this was first asked count too, even when they have ended meanwhile: what is
        said is true of the whole time since then, and everything published before this call is known to it. Unless
        ``look_again``, the answer is what was known at the last look, at no cost.

        Raises:
            MessagingUnavailableError: the broker does not answer, or the queue is not there.

        """

"""How the service is, whatever can be seen of it; and if it does nothing, why."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping
from datetime import datetime
from enum import Enum, auto
from typing import TypeVar

import attrs

from application.ports.dead_letter_box import DeadLetterBox, Extent
from application.ports.statistics import LedgerStatistics, QueueState, QueueStatistics, RecentOutcomes
from domain.errors import FacematchError

MOST_LETTERS_READ = 2000
"""Dead letters whose reasons are counted; of more, the oldest ones."""
_QUIET_SECONDS = 60.0
_BETWEEN_JOBS_SECONDS = 5.0
_Seen = TypeVar("_Seen")


class ServiceState(Enum):
    """What the service does, as far as it can be seen, and why it does nothing."""

    UNSEEN = auto()
    """The queue cannot be seen."""
    UNCLEAR = auto()
    """Workers have jobs or ask for some, but whether any ended cannot be seen."""
    WORKING = auto()
    """Jobs are there, and one ended so lately that the next may be under way."""
    PAUSED = auto()
    NOTHING_TO_DO = auto()
    NOBODY_ASKS = auto()
    """Jobs wait, and no worker asks for one."""
    ABOUT_TO_WORK = auto()
    """Jobs wait for workers that ask for them."""
    FULL = auto()
    """As many jobs are in hand as may be, and none ends."""
    HELD_UP = auto()
    """Jobs are in hand, and none ends."""

    @property
    def idle(self) -> bool | None:
        """Whether nothing is done; None where that cannot be seen."""
        return None if self in {ServiceState.UNSEEN, ServiceState.UNCLEAR} else self is not ServiceState.WORKING


@attrs.frozen
class LettersByReason:
    """How many dead letters there are, and why the first ``read`` of them are dead."""

    count: int
    read: int
    reasons: Mapping[str, int]


@attrs.define
class DeadLetterReasons:
    """Remembers what it counted: reasons stand in the letters, which are read one by one."""

    _extent: Extent | None = None
    _counted: LettersByReason = LettersByReason(0, 0, {})

    async def look(self, box: DeadLetterBox) -> LettersByReason:
        """Return the letters by reason; they are read only where others are there than at the last look."""
        extent = await box.extent()
        if extent != self._extent:
            self._counted, self._extent = await _counted(box, extent), extent
        return self._counted


@attrs.define
class ServiceStatus:
    """What was seen ``at`` a moment. What could not be is None, and a problem, by what it is about, says why."""

    at: datetime
    queue: QueueState | None = None
    letters: LettersByReason | None = None
    outcomes: RecentOutcomes | None = None
    gallery: Mapping[str, int] | None = None
    problems: dict[str, str] = attrs.field(factory=dict)

    async def look_at_broker(self, queue: QueueStatistics, box: DeadLetterBox, reasons: DeadLetterReasons) -> None:
        """See the queue and the dead letters, with the reasons that earlier looks have counted."""
        self.queue, self.letters = await asyncio.gather(
            self.seen("queue", queue.look()), self.seen("dead letters", reasons.look(box))
        )

    async def look_at_database(self, statistics: LedgerStatistics) -> None:
        """See what ended lately, and the gallery."""
        self.outcomes = await self.seen("outcomes", statistics.recent())
        self.gallery = await self.seen("gallery", statistics.gallery())

    async def seen(self, what: str, looking: Awaitable[_Seen]) -> _Seen | None:
        """Return what is seen; None, with a problem, where it cannot be."""
        try:
            return await looking
        except FacematchError as error:
            self.problems[what] = str(error)
            return None

    @property
    def state(self) -> ServiceState:
        """What is done, and why nothing is, where nothing is."""
        if self.queue is None:
            return ServiceState.UNSEEN
        if self.queue.paused:
            return ServiceState.PAUSED
        if not self.queue.pending and not self.queue.ack_pending:
            return ServiceState.NOTHING_TO_DO
        quiet = self.quiet_seconds
        if quiet is not None and quiet <= (_QUIET_SECONDS if self.queue.ack_pending else _BETWEEN_JOBS_SECONDS):
            return ServiceState.WORKING
        if self.outcomes is None and (self.queue.ack_pending or self.queue.asking):
            return ServiceState.UNCLEAR
        return _standstill(self.queue)

    @property
    def quiet_seconds(self) -> float | None:
        """How long ago the last job ended; None where none has, or that cannot be seen."""
        if self.outcomes is None or self.outcomes.last is None:
            return None
        return max(0.0, (self.outcomes.at - self.outcomes.last).total_seconds())


def _standstill(queue: QueueState) -> ServiceState:
    if not queue.ack_pending:
        return ServiceState.ABOUT_TO_WORK if queue.asking else ServiceState.NOBODY_ASKS
    return ServiceState.FULL if 0 < queue.most_in_hand <= queue.ack_pending else ServiceState.HELD_UP


async def _counted(box: DeadLetterBox, extent: Extent) -> LettersByReason:
    reasons: Counter[str] = Counter()
    if extent.count:
        async for letter in box.letters(up_to=extent.newest):
            reasons[letter.reason] += 1
            if reasons.total() == MOST_LETTERS_READ:
                break
    return LettersByReason(extent.count, reasons.total(), dict(reasons.most_common()))

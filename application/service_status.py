"""How the service is, whatever can be seen of it; and in a sentence, why it does nothing."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import TypeVar

import attrs

from application.dead_letter_reasons import DeadLetterReasons, LettersByReason
from application.ports.dead_letter_box import DeadLetterBox
from application.ports.statistics import LedgerStatistics, QueueState, QueueStatistics, RecentOutcomes
from domain.errors import FacematchError

_QUIET_SECONDS = 60.0
_BETWEEN_JOBS_SECONDS = 5.0
_Seen = TypeVar("_Seen")


@attrs.frozen
class Standing:
    """Whether the service does nothing, and why; ``idle`` is None where that cannot be seen."""

    idle: bool | None
    why: str


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
    def standing(self) -> Standing:
        """Why nothing is done, where nothing is."""
        if self.queue is None:
            return Standing(None, "the queue cannot be seen")
        if self.queue.paused:
            return Standing(True, "the consumer is paused on the broker: resume it there")
        if not self.queue.pending and not self.queue.ack_pending:
            return Standing(True, self._nothing_to_do(self.queue))
        quiet = self._quiet_seconds()
        waiting = f"{_jobs(self.queue.pending)} waiting and {self.queue.ack_pending} in hand"
        if quiet is not None and quiet <= (_QUIET_SECONDS if self.queue.ack_pending else _BETWEEN_JOBS_SECONDS):
            return Standing(False, f"jobs are being done: {waiting}")
        if self.outcomes is not None:
            return Standing(True, f"{waiting}, but {_silence(quiet)}: {_suspicion(self.queue)}")
        return _unseen(self.queue, f"{waiting}, and whether any ended cannot be seen")

    def _nothing_to_do(self, queue: QueueState) -> str:
        quiet = self._quiet_seconds()
        if quiet is not None:
            return f"nothing waits; the last job ended {in_words(quiet)} ago"
        return "nothing waits" if queue.ever_delivered else "no job was ever published"

    def _quiet_seconds(self) -> float | None:
        if self.outcomes is None or self.outcomes.last is None:
            return None
        return max(0.0, (self.outcomes.at - self.outcomes.last).total_seconds())


def in_words(seconds: float) -> str:
    """Return a length of time for people, in two units at most."""
    left = max(0, round(seconds))
    words = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def _unseen(queue: QueueState, words: str) -> Standing:
    """Return what the queue alone says of the work: it stands still where nobody has a job or asks for one."""
    if queue.ack_pending or queue.asking:
        return Standing(None, words)
    return Standing(True, f"{words}: {_suspicion(queue)}")


def _suspicion(queue: QueueState) -> str:
    if not queue.ack_pending:
        if queue.asking:
            return "workers ask for jobs and will be given them"
        return "no worker asks for jobs; start one, or see with `facematch healthcheck --ready` why it takes none"
    if 0 < queue.most_in_hand <= queue.ack_pending:
        return f"the consumer lets no more than {queue.most_in_hand} be in hand"
    return (
        "workers are held up by a dependency that is down (/readyz of each says which), or the jobs wait for another "
        "attempt, or their workers are gone and the jobs come back when their time has run out"
    )


def _silence(quiet: float | None) -> str:
    return "none has ended yet" if quiet is None else f"none has ended for {in_words(quiet)}"


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"

"""When the messages of a stream were stored, as far as it is known without reading one."""

from datetime import datetime

import attrs

from domain.jobs import JobKey

_MOST_MARKS = 2000


@attrs.define
class Timeline:
    """Marks, each of which says: all up to this sequence was stored by that time.

    Two things make marks: a delivery, which carries its own time, and a look at the last sequence of the stream.
    A stream may hold messages that are no jobs. Marks that the stream has lost, or that no unsettled job can need,
    are forgotten; among too many every second one.
    """

    _marks: dict[int, datetime] = attrs.field(factory=dict)

    def delivered(self, key: JobKey) -> None:
        """Mark a job whose storing is known exactly."""
        self._marks[key.sequence] = key.stored_at
        self._thin_out()

    def seen(self, *, first: int, last: int, now: datetime) -> None:
        """Mark the end of the stream, which holds the sequences from ``first`` to ``last`` now."""
        self._marks = {sequence: time for sequence, time in self._marks.items() if first <= sequence <= last}
        self._marks.setdefault(last, now)

    def oldest(self, *, settled: int, delivered: int, all_delivered: bool) -> datetime | None:
        """Return the time by which the oldest unsettled job had been stored; None while nothing is known.

        All up to ``settled`` is settled and something beyond it is not. ``delivered`` is the last job that was
        delivered; ``all_delivered`` says that no job lies beyond it.
        """
        if all_delivered:
            self._clip(delivered)
        self._marks = {sequence: time for sequence, time in self._marks.items() if sequence > settled}
        self._thin_out()
        return self._marks[min(self._marks)] if self._marks else None

    def settled(self) -> None:
        """Forget everything: no job is unsettled."""
        self._marks.clear()

    def _thin_out(self) -> None:
        """Keep the oldest mark, and of the others every second one, when they are too many."""
        if len(self._marks) > _MOST_MARKS:
            self._marks = {sequence: self._marks[sequence] for sequence in sorted(self._marks)[::2]}

    def _clip(self, last: int) -> None:
        """Say of the last job what is known of what lies beyond it."""
        beyond = [time for sequence, time in self._marks.items() if sequence > last]
        self._marks = {sequence: time for sequence, time in self._marks.items() if sequence <= last}
        if beyond:
            self._marks.setdefault(last, min(beyond))

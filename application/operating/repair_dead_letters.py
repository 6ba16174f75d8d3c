"""Dead letters are looked through, sent again or thrown away: those that a selection names."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime
from enum import StrEnum

import attrs

from application.ports.dead_letter_box import DeadLetter, DeadLetterBox
from domain.outcomes import Reason

_AT_A_TIME = 32


@attrs.frozen
class Selection:
    """Which letters are meant: those that meet all that is said; what is empty or None asks for nothing.

    ``since`` and ``until`` are about the time at which a letter was stored, the second one excluded. ``up_to`` is the
    last sequence that counts, so that what comes in meanwhile is left alone.
    """

    sequences: frozenset[int] = frozenset()
    reasons: frozenset[Reason] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    up_to: int | None = None

    def includes(self, letter: DeadLetter) -> bool:
        """Tell whether the letter is meant."""
        return (
            (not self.sequences or letter.sequence in self.sequences)
            and (not self.reasons or letter.reason in self.reasons)
            and (self.since is None or letter.stored_at >= self.since)
            and (self.until is None or letter.stored_at < self.until)
            and (self.up_to is None or letter.sequence <= self.up_to)
        )


class Action(StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"
    REPLAYED_BEFORE = "replayed_before"
    PURGED = "purged"
    LEFT_MALFORMED = "left_malformed"
    LEFT_TRUNCATED = "left_truncated"
    GONE = "gone"

    @property
    def is_left(self) -> bool:
        """True where the letter is kept as it was."""
        return self in {Action.LEFT_MALFORMED, Action.LEFT_TRUNCATED}


@attrs.frozen
class Repaired:
    """One letter, and what was done about it, or would be done."""

    letter: DeadLetter
    action: Action


@attrs.frozen
class RepairDeadLetters:
    """What an operator does about dead letters.

    Every method raises :class:`domain.errors.MessagingUnavailableError` when the broker does not answer; whatever was
    told before is done, and everything else can be done by saying the same again.
    """

    box: DeadLetterBox

    async def counted(self, selection: Selection) -> tuple[Selection, int]:
        """Return the selection without the letters that are not there yet, and how many are meant.

        Where all letters are meant, none is read.
        """
        extent = await self.box.extent()
        bounded = attrs.evolve(selection, up_to=extent.newest)
        if selection == Selection():
            return bounded, extent.count
        return bounded, sum([1 async for _ in self.select(bounded)])

    async def select(self, selection: Selection) -> AsyncIterator[DeadLetter]:
        """Go through the letters that are meant, oldest first, without those that are not there yet."""
        if selection.up_to is None:
            selection = attrs.evolve(selection, up_to=(await self.box.extent()).newest)
        async for letter in self._candidates(selection):
            if selection.includes(letter):
                yield letter
            elif selection.until is not None and letter.stored_at >= selection.until and not selection.sequences:
                return

    async def newest(self, selection: Selection, limit: int) -> tuple[Collection[DeadLetter], int]:
        """Return the newest letters that are meant, oldest first, and how many are meant in all.

        Where all letters are meant, hardly more than those are read, however many there are.
        """
        if selection != Selection():
            kept, count = deque[DeadLetter](maxlen=limit), 0
            async for letter in self.select(selection):
                kept.append(letter)
                count += 1
            return kept, count
        extent, span = await self.box.extent(), limit
        while True:
            after = max(0, extent.newest - span)
            letters = [letter async for letter in self.box.letters(after=after, up_to=extent.newest)]
            if len(letters) >= limit or not after:
                return letters[-limit:], extent.count
            span *= 2

    async def replay(
        self, selection: Selection, *, include_malformed: bool = False, dry_run: bool = False
    ) -> AsyncIterator[Repaired]:
        """Send the letters again and delete each as soon as its new job is stored; tell of each when it is done.

        Malformed jobs would die again, and are left unless asked for; what was too large to be kept whole is left in
        any case. ``dry_run`` only tells what would be done.
        """

        async def repair(letter: DeadLetter) -> Repaired:
            if letter.truncated_from is not None:
                return Repaired(letter, Action.LEFT_TRUNCATED)
            if letter.reason == Reason.MALFORMED_PAYLOAD and not include_malformed:
                return Repaired(letter, Action.LEFT_MALFORMED)
            if dry_run:
                return Repaired(letter, Action.REPLAYED)
            new = await self.box.send_again(letter)
            await self.box.discard(letter.sequence)
            return Repaired(letter, Action.REPLAYED if new else Action.REPLAYED_BEFORE)

        async for repaired in self._each(selection, repair):
            yield repaired

    async def purge(self, selection: Selection, *, dry_run: bool = False) -> AsyncIterator[Repaired]:
        """Delete the letters for good; tell of each when it is done. ``dry_run`` only tells what would be done."""

        async def repair(letter: DeadLetter) -> Repaired:
            there = dry_run or await self.box.discard(letter.sequence)
            return Repaired(letter, Action.PURGED if there else Action.GONE)

        async for repaired in self._each(selection, repair):
            yield repaired

    async def _candidates(self, selection: Selection) -> AsyncIterator[DeadLetter]:
        if selection.sequences:
            for sequence in sorted(selection.sequences):
                letter = await self.box.find(sequence)
                if letter is not None:
                    yield letter
            return
        async for letter in self.box.letters(up_to=selection.up_to or 0, since=selection.since):
            yield letter

    async def _each(
        self, selection: Selection, repair: Callable[[DeadLetter], Awaitable[Repaired]]
    ) -> AsyncIterator[Repaired]:
        """Repair several at a time; after a failure tell of those that were done beside it, and then of the failure."""
        batch: list[DeadLetter] = []
        async for letter in self.select(selection):
            batch.append(letter)
            if len(batch) == _AT_A_TIME:
                async for repaired in _together(batch, repair):
                    yield repaired
                batch = []
        async for repaired in _together(batch, repair):
            yield repaired


async def _together(
    letters: list[DeadLetter], repair: Callable[[DeadLetter], Awaitable[Repaired]]
) -> AsyncIterator[Repaired]:
    ends = await asyncio.gather(*map(repair, letters), return_exceptions=True)
    for end in ends:
        if isinstance(end, Repaired):
            yield end
    for end in ends:
        if isinstance(end, BaseException):
            raise end

"""How many dead letters there are and why, and how rarely they are read for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from application.operating.service_status import MOST_LETTERS_READ, DeadLetterReasons, LettersByReason
from application.ports.dead_letter_box import DeadLetter
from domain.errors import MessagingUnavailableError
from tests.fakes.dead_letter_box import InMemoryDeadLetterBox

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class CountingBox(InMemoryDeadLetterBox):
    """Counts the letters that are read, and stops answering after the ``last`` one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.last: int | None = None

    async def letters(self, *, up_to: int, since: datetime | None = None, after: int = 0) -> AsyncIterator[DeadLetter]:
        """Go through what is there."""
        async for letter in super().letters(up_to=up_to, since=since, after=after):
            if letter.sequence == self.last:
                raise MessagingUnavailableError("dead letters: no answer")
            self.read += 1
            yield letter


def put(box: InMemoryDeadLetterBox, sequence: int, reason: str = "internal_error") -> None:
    """Keep a letter of that reason."""
    box.put(DeadLetter(sequence, NOW, reason, "", 1, 1, b""))


async def test_letters_are_counted_by_reason_up_to_a_limit() -> None:
    """All are counted, but of very many only the reasons of the first are read."""
    box = CountingBox()
    for sequence in range(1, MOST_LETTERS_READ + 11):
        put(box, sequence, "internal_error" if sequence % 4 == 0 else "malformed_payload")
    share = MOST_LETTERS_READ // 4
    reasons = {"malformed_payload": 3 * share, "internal_error": share}
    assert await DeadLetterReasons().look(box) == LettersByReason(MOST_LETTERS_READ + 10, MOST_LETTERS_READ, reasons)
    assert box.read == MOST_LETTERS_READ


async def test_letters_are_read_again_only_when_others_are_there() -> None:
    """One that has come, one that is gone, and one in the place of another, are seen; nothing else is read for."""
    box, reasons = CountingBox(), DeadLetterReasons()

    async def look() -> tuple[LettersByReason, int]:
        box.read = 0
        return await reasons.look(box), box.read

    assert await look() == (LettersByReason(0, 0, {}), 0)
    put(box, 1)
    put(box, 2)
    assert await look() == (LettersByReason(2, 2, {"internal_error": 2}), 2)
    assert await look() == (LettersByReason(2, 2, {"internal_error": 2}), 0)
    await box.discard(1)
    assert await look() == (LettersByReason(1, 1, {"internal_error": 1}), 1)
    await box.discard(2)
    put(box, 3, "no_match")
    assert await look() == (LettersByReason(1, 1, {"no_match": 1}), 1)
    await box.discard(3)
    assert await look() == (LettersByReason(0, 0, {}), 0)


async def test_a_look_that_fails_is_not_remembered() -> None:
    """The next one reads all."""
    box, reasons = CountingBox(), DeadLetterReasons()
    put(box, 1)
    put(box, 2)
    box.last = 2
    with pytest.raises(MessagingUnavailableError):
        await reasons.look(box)
    box.last = None
    assert await reasons.look(box) == LettersByReason(2, 2, {"internal_error": 2})

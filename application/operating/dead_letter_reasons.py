"""Why dead letters are dead, for whoever looks again and again."""

from collections import Counter
from collections.abc import Mapping

import attrs

from application.ports.dead_letter_box import DeadLetterBox, Extent

MOST_LETTERS_READ = 2000
"""Dead letters whose reasons are counted; of more, the oldest ones."""


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


async def _counted(box: DeadLetterBox, extent: Extent) -> LettersByReason:
    reasons: Counter[str] = Counter()
    if extent.count:
        async for letter in box.letters(up_to=extent.newest):
            reasons[letter.reason] += 1
            if reasons.total() == MOST_LETTERS_READ:
                break
    return LettersByReason(extent.count, reasons.total(), dict(reasons.most_common()))

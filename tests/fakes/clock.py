"""A clock that tests move by hand."""

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Time passes only in sleep, at once, and every sleep is remembered."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return a fixed day plus what was slept."""
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass without anyone sleeping."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Remember the wish, let the time pass, and give other tasks a turn."""
        self.slept.append(seconds)
        self._elapsed += seconds
        await asyncio.sleep(0)

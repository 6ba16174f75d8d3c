"""Time, as a port, so that tests need no waiting."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets time pass."""

    def now(self) -> datetime:
        """Return the current time in UTC, with a time zone."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back; only differences mean something."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, leaving the event loop free."""

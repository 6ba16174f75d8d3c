"""Clocks that tests move by hand."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class ManualClock:
    """Time passes only in sleep, at once, and every sleep is remembered."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return a fixed day plus what was slept."""
        return _START + timedelta(seconds=self._elapsed)

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


class EventfulClock(ManualClock):
    """While somebody sleeps, something happens."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    async def sleep(self, seconds: float) -> None:
        """Let it happen first."""
        self.meanwhile()
        await super().sleep(seconds)


class SteppedClock:
    """Time passes only when the test says so; whoever sleeps wakes, in order, when their time has come."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return a fixed day plus the time that has passed."""
        return _START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self._elapsed

    @property
    def sleepers(self) -> int:
        """How many tasks are asleep."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has let so much time pass."""
        sleeper = (self._elapsed + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    async def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each sleeper's time for everyone to do what they then do."""
        end = self._elapsed + seconds
        await settle()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            sleeper = min(due, key=lambda due_sleeper: due_sleeper[0])
            self._elapsed = max(self._elapsed, sleeper[0])
            self._sleepers.remove(sleeper)
            if not sleeper[1].done():
                sleeper[1].set_result(None)
            await settle()
        self._elapsed = end


async def settle(turns: int = 50) -> None:
    """Give every other task the turns it needs to come to rest; none of them may wait for anything real."""
    loop: Any = asyncio.get_running_loop()
    for _ in range(turns):
        await asyncio.sleep(0)
        if not loop._ready:  # nobody else has anything to do
            return

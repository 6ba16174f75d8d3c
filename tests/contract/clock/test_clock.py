"""What any clock does: the machine's, and the ones that tests move by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import attrs
import pytest

from adapters.system.clock import SystemClock
from application.ports.clock import Clock
from tests.fakes.clock import ManualClock, SteppedClock

SHORT = 0.05


@attrs.frozen
class Subject:
    """A clock, and how to wait for something that sleeps by it."""

    clock: Clock
    wait_for: Callable[[Awaitable[object]], Awaitable[object]]


async def _patiently(sleeper: Awaitable[object]) -> object:
    return await asyncio.wait_for(sleeper, 10)


def _by_steps(clock: SteppedClock) -> Callable[[Awaitable[object]], Awaitable[object]]:
    async def wait_for(sleeper: Awaitable[object]) -> object:
        task = asyncio.ensure_future(sleeper)
        while not task.done():
            await clock.advance(SHORT)
        return await task

    return wait_for


@pytest.fixture(params=["system", "manual", "stepped"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Return each clock in turn."""
    if request.param == "stepped":
        stepped = SteppedClock()
        return Subject(stepped, _by_steps(stepped))
    return Subject(SystemClock() if request.param == "system" else ManualClock(), _patiently)


async def test_it_is_a_clock(subject: Subject) -> None:
    """The adapter satisfies the port."""
    clock: Clock = subject.clock
    assert clock.now() is not None


async def test_now_is_in_utc(subject: Subject) -> None:
    """A time without a zone would be read as another one somewhere else."""
    assert subject.clock.now().utcoffset() == timedelta(0)


async def test_time_does_not_go_back(subject: Subject) -> None:
    """Neither clock says less than before."""
    before = subject.clock.monotonic(), subject.clock.now()
    after = subject.clock.monotonic(), subject.clock.now()
    assert after[0] >= before[0]
    assert after[1] >= before[1]


@pytest.mark.parametrize("seconds", [0.0, SHORT, 2 * SHORT])
async def test_sleep_lets_that_much_time_pass(subject: Subject, seconds: float) -> None:
    """After a sleep both clocks are ahead by at least its length."""
    started, day = subject.clock.monotonic(), subject.clock.now()
    await subject.wait_for(subject.clock.sleep(seconds))
    assert subject.clock.monotonic() - started >= seconds - 0.001
    assert (subject.clock.now() - day).total_seconds() >= seconds - 0.005


async def test_a_sleeper_leaves_the_event_loop_free(subject: Subject) -> None:
    """Other tasks run while one sleeps."""
    turns: list[str] = []

    async def sleep() -> None:
        await subject.clock.sleep(SHORT)
        turns.append("slept")

    async def work() -> None:
        turns.append("worked")

    await subject.wait_for(asyncio.gather(sleep(), work()))
    assert turns == ["worked", "slept"]


async def test_a_sleep_can_be_cancelled(subject: Subject) -> None:
    """Who is cancelled sleeps no longer."""
    sleeper = asyncio.ensure_future(subject.clock.sleep(3600))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sleeper, 10)

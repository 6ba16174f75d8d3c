"""Much is done, some of it at once."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from application.concurrency import as_async, for_each_bounded, in_order
from tests.fakes.clock import settle


async def test_no_item_is_asked_for_before_there_is_a_hand_for_it() -> None:
    """But for the next one, so that nobody waits for it; however many there are."""
    asked: list[int] = []
    done: list[int] = []
    gate = asyncio.Semaphore(0)

    async def items() -> AsyncIterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    async def work(number: int) -> None:
        await gate.acquire()
        done.append(number)

    working = asyncio.create_task(for_each_bounded(items(), work, concurrency=3))
    await settle()
    assert (len(asked), done) == (4, [])
    gate.release()
    await settle()
    assert (len(asked), done) == (5, [0])
    for _ in range(99):
        gate.release()
    await working
    assert sorted(done) == list(range(100))


async def test_the_first_error_ends_it() -> None:
    """It comes as it is; what is in hand is given up, and nothing more begins."""
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise ValueError(f"{number} is bad")
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="1 is bad"):
        await for_each_bounded(as_async(range(100)), work, concurrency=3)
    assert begun == [0, 1, 2]


class Steps:
    """Work that is done when the test says so, or fails; what was begun, and what was given up."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.given_up: list[int] = []
        self.told: list[int] = []
        self.may_end = defaultdict[int, asyncio.Future[None]](asyncio.get_running_loop().create_future)

    async def work(self, number: int) -> int:
        """Wait for the test."""
        self.begun.append(number)
        try:
            await self.may_end[number]
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what is given up may have something to close yet
            self.given_up.append(number)
            raise
        return -number

    async def tell_all(self, numbers: range) -> None:
        """Note each result when it comes."""
        async with aclosing(in_order(numbers, self.work, concurrency=3)) as results:
            async for result in results:
                self.told.append(result)

    async def end(self, number: int) -> None:
        """Let one be done."""
        self.may_end[number].set_result(None)
        await settle()


async def test_results_come_in_order_each_as_soon_as_those_before_it_are_there() -> None:
    """However many there are: no more is in hand than is allowed, what waits for an earlier one included."""
    steps = Steps()
    telling = asyncio.create_task(steps.tell_all(range(1, 1001)))
    await settle()
    assert (steps.begun, steps.told) == ([1, 2, 3], [])
    await steps.end(2)
    assert (steps.begun, steps.told) == ([1, 2, 3], [])
    await steps.end(1)
    assert (steps.begun, steps.told) == ([1, 2, 3, 4, 5], [-1, -2])
    for number in range(3, 1001):
        await steps.end(number)
        assert len(steps.begun) - len(steps.told) <= 3
    await telling
    assert steps.told == [-number for number in range(1, 1001)]


async def test_a_result_that_is_an_error_comes_in_its_turn() -> None:
    """What is done before it is told first; then what is in hand is given up, and nothing more begins."""
    steps = Steps()
    telling = asyncio.create_task(steps.tell_all(range(1, 1001)))
    await settle()
    steps.may_end[2].set_exception(ValueError("2 is bad"))
    await settle()
    assert not telling.done()
    await steps.end(1)
    with pytest.raises(ValueError, match="2 is bad"):
        await telling
    assert (steps.told, steps.begun, steps.given_up) == ([-1], [1, 2, 3], [3])


async def test_results_that_nobody_waits_for_any_more_are_given_up() -> None:
    """Whoever is cancelled leaves nothing behind that still runs."""
    steps = Steps()
    telling = asyncio.create_task(steps.tell_all(range(1, 1001)))
    await settle()
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert sorted(steps.given_up) == steps.begun == [1, 2, 3]

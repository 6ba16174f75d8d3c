"""Much is done, some of it at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from application.concurrency import as_async, for_each_bounded
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

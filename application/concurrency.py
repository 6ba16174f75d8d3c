"""Much to do, and some of it done at once."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def for_each_bounded(
    items: AsyncIterable[Item], work: Callable[[Item], Awaitable[None]], *, concurrency: int
) -> None:
    """Do the work for every item, so many at once and the next one waiting; the first error ends it."""
    hands = asyncio.Semaphore(concurrency)

    async def done(item: Item) -> None:
        try:
            await work(item)
        finally:
            hands.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await hands.acquire()
                group.create_task(done(item))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def as_async(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield what is there already, for :func:`for_each_bounded`."""
    for item in items:
        yield item

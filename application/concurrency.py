"""Much to do, and some of it done at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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


async def in_order(
    items: Iterable[Item], work: Callable[[Item], Coroutine[Any, Any, Result]], *, concurrency: int
) -> AsyncGenerator[Result, None]:
    """Yield what the work makes of every item, in the items' order, each as soon as all before it are yielded.

    So many are in hand at once, those that are done and wait for an earlier one included. An error is raised in its
    turn and ends it. Close it where it is not gone through to its end.
    """
    in_hand = deque[asyncio.Task[Result]]()
    try:
        for item in items:
            in_hand.append(asyncio.create_task(work(item)))
            if len(in_hand) == concurrency:
                yield await in_hand.popleft()
        while in_hand:
            yield await in_hand.popleft()
    finally:
        for task in in_hand:
            task.cancel()
        await asyncio.gather(*in_hand, return_exceptions=True)


async def as_async(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield what is there already, for :func:`for_each_bounded`."""
    for item in items:
        yield item

"""Tasks that are waited for beside an event, and tasks that come to their end before what they use does."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any

_PATIENCE_SECONDS = 1.0


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when they are over, however they ended.

    Python 3.11 loses a cancellation that comes just as what ``asyncio.wait_for`` waits for is done, and clients of
    servers use that: so a task that goes on is cancelled again.
    """
    going_on: Collection[asyncio.Task[Any]] = tasks
    while going_on:
        for task in going_on:
            task.cancel()
        _, going_on = await asyncio.wait(going_on, timeout=_PATIENCE_SECONDS)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; whoever is cancelled meanwhile ends after it, or with it where cancelled once more."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def first_of(
    tasks: Iterable[asyncio.Task[Any]], event: asyncio.Event, timeout_seconds: float | None = None
) -> None:
    """Return when one of the tasks is over, the event is set, or the time is up; the tasks go on."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({*tasks, waiting}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()

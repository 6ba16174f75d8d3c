"""Tasks that come to their end before what they use does."""

import asyncio
from collections.abc import Collection
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

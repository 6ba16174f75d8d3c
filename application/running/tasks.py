"""Tasks that come to their end before what they use does."""

import asyncio
from typing import Any


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when they are over, however they ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

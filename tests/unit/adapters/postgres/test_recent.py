"""Answers that may be a little old."""

import asyncio
import gc
from typing import Any

import pytest

from adapters.postgres.gallery.recent import Recent
from tests.fakes.clock import ManualClock, settle


async def test_a_failure_that_nobody_waits_for_any_more_is_told_to_nobody() -> None:
    """Who asked was cancelled, as at a worker's end: nothing is left over for the event loop to complain of."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    failing = asyncio.Event()

    async def ask(_key: str) -> None:
        await failing.wait()
        raise ValueError

    recent = Recent(ask, clock=ManualClock(), seconds=1.0)
    asking = asyncio.create_task(recent.get("model@1"))
    await settle()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    failing.set()
    await settle()
    gc.collect()
    assert complaints == []

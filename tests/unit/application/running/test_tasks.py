"""Tasks that are ended."""

import asyncio

from application.running.tasks import ended


async def test_a_task_is_over_when_it_is_ended() -> None:
    """Also one that cleans up first, and one that fails at it: what they use may be closed then."""
    cleaned = []

    async def work(failure: Exception | None = None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(failure)
            if failure:
                raise failure

    failure = OSError("gone")
    tasks = [asyncio.create_task(work()), asyncio.create_task(work(failure))]
    await asyncio.sleep(0)
    await ended(*tasks)
    assert cleaned == [None, failure]
    assert tasks[0].cancelled()
    assert tasks[1].exception() is failure

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


async def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    """Python 3.11 loses one that comes together with the answer that the task waits for."""
    answer = asyncio.get_running_loop().create_future()

    async def ask_again_and_again() -> None:
        await asyncio.wait_for(answer, 60)
        await asyncio.Event().wait()

    task = asyncio.create_task(ask_again_and_again())
    await asyncio.sleep(0)
    answer.set_result("an answer")
    async with asyncio.timeout(3):
        await ended(task)
    assert task.cancelled()

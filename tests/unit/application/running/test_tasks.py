"""Tasks that are ended, and work that is not cut off."""

import asyncio

import pytest

from application.running.tasks import ended, to_its_end


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


@pytest.mark.parametrize(("cancellations", "is_done"), [(1, True), (2, False)])
async def test_work_that_must_be_done_is_cut_off_by_a_second_cancellation(cancellations: int, *, is_done: bool) -> None:
    """The first one is obeyed when the work is done; so whoever waits for the task waits for the work."""
    answer = asyncio.get_running_loop().create_future()
    done = []

    async def work() -> None:
        done.append(await answer)

    task = asyncio.create_task(to_its_end(work()))
    for _ in range(cancellations):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task}, timeout=0.05)
    assert task.done() is not is_done
    if not answer.done():
        answer.set_result("an answer")
    await asyncio.wait({task})
    assert (task.cancelled(), done) == (True, ["an answer"] if is_done else [])

"""Threads that nobody has to wait for."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.object_store.threads import in_thread

_STUCK = """
import asyncio, time
from adapters.object_store.threads import in_thread

async def main():
    try:
        async with asyncio.timeout(0.1):
            await in_thread(lambda: time.sleep(600))
    except TimeoutError:
        print("gave up")

asyncio.run(main())
"""


async def test_what_the_work_returns_comes_back() -> None:
    """From another thread than the event loop's."""
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_threads_are_used_again() -> None:
    """Work that comes one after the other makes no new threads; work that comes at once does."""
    await in_thread(threading.get_ident)
    before = threading.active_count()
    for _ in range(20):
        await asyncio.sleep(0.005)
        await in_thread(threading.get_ident)
    assert threading.active_count() <= before + 1
    barrier = threading.Barrier(5)
    assert len(set(await asyncio.gather(*(in_thread(barrier.wait) for _ in range(5))))) == 5


async def test_what_the_work_raises_is_raised() -> None:
    """Where it is awaited."""
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(lambda: int("x"))


async def test_a_result_that_nobody_waits_for_harms_nobody() -> None:
    """The caller went away while the work was done; the thread ends in silence."""
    going_on, finished = threading.Event(), threading.Event()

    def work() -> None:
        going_on.wait(10)
        finished.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    going_on.set()
    assert await asyncio.to_thread(finished.wait, 10)


def test_a_stuck_thread_does_not_keep_the_process() -> None:
    """The interpreter ends although the work has not."""
    done = subprocess.run(
        [sys.executable, "-c", _STUCK],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "gave up\n", "")

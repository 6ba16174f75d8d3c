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
            await in_thread("stuck", lambda: time.sleep(600))
    except TimeoutError:
        print("gave up")

asyncio.run(main())
"""


async def test_what_the_work_returns_comes_back() -> None:
    """From a thread of that name, and not from the event loop's."""
    assert await in_thread("mine", lambda: threading.current_thread().name) == "mine"


async def test_what_the_work_raises_is_raised() -> None:
    """Where it is awaited."""
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread("mine", lambda: int("x"))


async def test_a_result_that_nobody_waits_for_harms_nobody() -> None:
    """The caller went away while the work was done; the thread ends in silence."""
    going_on, finished = threading.Event(), threading.Event()

    def work() -> None:
        going_on.wait(10)
        finished.set()

    task = asyncio.create_task(in_thread("mine", work))
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

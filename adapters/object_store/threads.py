"""Blocking work in threads that nobody ever has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(name: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises, in a daemon thread of its own.

    A caller that is cancelled leaves the thread behind, and so does the end of the process: an executor's threads
    would be joined then, and one that is stuck would keep the process from ending. Starting a thread costs about a
    tenth of a millisecond.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)

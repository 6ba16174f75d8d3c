"""Blocking work in threads that nobody ever has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
_MOST_IDLE = 32
_idle: list["_Thread"] = []


class _Thread:
    """A daemon thread that does one piece of work after the other, and rests among the idle ones between them.

    Starting a thread costs about as much as a fetch from a server on the same machine.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name="object-store", daemon=True).start()

    def do(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def _run(self) -> None:
        while True:
            self._work.get()()
            if len(_idle) >= _MOST_IDLE:
                return
            _idle.append(self)


async def in_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises, in a daemon thread.

    A caller that is cancelled leaves the thread behind, and so does the end of the process: an executor's threads
    would be joined then, and one that is stuck would keep the process from ending.
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

    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
    thread.do(run)
    return await asyncio.wrap_future(future)

"""What many ask for at the same time is asked once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


class SingleFlight(Generic[_Key, _Answer]):
    """One task for everyone who asks for the same key while it runs; whoever is cancelled takes it from nobody else."""

    def __init__(self) -> None:
        self._tasks: dict[_Key, asyncio.Task[_Answer]] = {}

    async def do(self, key: _Key, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Return the answer; what asking raises is raised to all who wait for it."""
        return await asyncio.shield(self.begin(key, ask))

    def begin(self, key: _Key, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> asyncio.Task[_Answer]:
        """Ask already, and return the task; where nobody waits for it, nobody is told of a failure."""
        task = self._tasks.get(key)
        if task is None or task.done():
            task = self._tasks[key] = asyncio.create_task(ask())
            task.add_done_callback(lambda done: self._end(key, done))
        return task

    async def close(self) -> None:
        """Give up what is being asked."""
        if tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _end(self, key: _Key, done: asyncio.Task[_Answer]) -> None:
        """Keep no answer; where nobody waits any more, nobody is told of a failure either."""
        if self._tasks.get(key) is done:
            del self._tasks[key]
        if not done.cancelled():
            done.exception()

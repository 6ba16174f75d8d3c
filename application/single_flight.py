"""What many ask for at the same time is asked once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from application import background

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


class SingleFlight(Generic[_Key, _Answer]):
    """One task for everyone who asks for the same key while it runs; whoever is cancelled takes it from nobody else."""

    def __init__(self) -> None:
        self._tasks: dict[_Key, asyncio.Task[_Answer]] = {}

    async def do(self, key: _Key, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Return the answer; what asking raises is raised to all who wait. Who comes first asks, as their own work."""
        return await asyncio.shield(self._going_on(key) or self._begun(key, asyncio.create_task(ask())))

    def begin(self, key: _Key, ask: Callable[[], Coroutine[Any, Any, _Answer]]) -> None:
        """Ask already, as the work of nobody; where nobody comes to wait for it, nobody is told of a failure."""
        if self._going_on(key) is None:
            self._begun(key, background.begin(ask()))

    async def close(self) -> None:
        """Give up what is being asked."""
        if tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _going_on(self, key: _Key) -> asyncio.Task[_Answer] | None:
        task = self._tasks.get(key)
        return None if task is None or task.done() else task

    def _begun(self, key: _Key, task: asyncio.Task[_Answer]) -> asyncio.Task[_Answer]:
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._end(key, done))
        return task

    def _end(self, key: _Key, done: asyncio.Task[_Answer]) -> None:
        """Keep no answer; where nobody waits any more, nobody is told of a failure either."""
        if self._tasks.get(key) is done:
            del self._tasks[key]
        if not done.cancelled():
            done.exception()

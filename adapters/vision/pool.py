"""Face pipelines in processes of their own, which may crash, hang or grow without harm to the caller.

Every process is a pebble pool of one: they share no pipe and no lock, so that what happens to one of them cannot
disturb another, and a process that was killed while idle is found out and replaced like any other.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Final, ParamSpec, TypeVar

import attrs
import pebble

from adapters.vision import child, registry
from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.errors import AttemptFailedError, EmbedderCrashedError, EmbedderTimeoutError, FacematchError
from domain.faces import PhotoReading

_P = ParamSpec("_P")
_T = TypeVar("_T")

_START_SECONDS: Final = 120.0
"""How long a process may take to import its libraries and load its models."""


@attrs.frozen
class PoolLimits:
    """What a process may use: seconds per photograph, bytes of private memory, photographs until it is replaced."""

    seconds: float = 30.0
    memory: int = 2 * 1024**3
    photographs: int = 5_000


class _Process:
    """One process that is replaced when it ends."""

    def __init__(self, settings: child.ChildSettings, photographs: int) -> None:
        self._settings = settings
        self._photographs = photographs
        self._pool = self._new_pool()

    def schedule(
        self, function: Callable[_P, _T], seconds: float, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """Return the future result of the function, called in the process."""
        try:
            future = self._pool.schedule(function, args=args, kwargs=kwargs, timeout=seconds)
        except RuntimeError as error:  # it ended while it had nothing to do
            raise BrokenProcessPool(str(error)) from error
        return asyncio.wrap_future(future)

    async def replace(self) -> None:
        """Start afresh, whatever state the process is in."""
        old, self._pool = self._pool, self._new_pool()
        await asyncio.to_thread(_stop, old)

    async def stop(self) -> None:
        """End the process now."""
        await asyncio.to_thread(_stop, self._pool)

    def _new_pool(self) -> pebble.ProcessPool:
        return pebble.ProcessPool(
            max_workers=1,
            max_tasks=self._photographs,
            initializer=child.initialise,
            initargs=(self._settings,),
            context=multiprocessing.get_context("spawn"),
        )


def _stop(pool: pebble.ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble has no annotation there
    pool.join()


class ProcessPoolFaceReader:
    """Reads photographs in a pool of processes, each with a pipeline of its own.

    A photograph that takes too long has its process killed and replaced. A reader whose caller is cancelled
    finishes the photograph, within its time limit, before its process is given another one.

    Args:
        embedder: name under which the pipeline is registered.
        budget: what an image may cost.
        processes: how many photographs are read at once.
        limits: what a process may use.

    """

    def __init__(self, embedder: str, budget: ImageBudget, processes: int, limits: PoolLimits | None = None) -> None:
        pebble.CONSTS.term_timeout = 0  # the processes ignore SIGTERM, so waiting for its effect would be in vain
        self._limits = limits or PoolLimits()
        self._info = registry.load(embedder).info
        self._settings = child.ChildSettings(os.getpid(), embedder, budget, self._limits.memory)
        self._processes = [_Process(self._settings, self._limits.photographs) for _ in range(processes)]
        self._free: asyncio.Queue[_Process] = asyncio.Queue()
        self._running: set[asyncio.Task[PhotoReading]] = set()
        self._restarts = 0
        self._closed = False

    @property
    def info(self) -> EmbedderInfo:
        """Who makes the embeddings."""
        return self._info

    @property
    def restarts(self) -> int:
        """How many processes were replaced because they died or had to be killed."""
        return self._restarts

    async def start(self) -> None:
        """Start all processes and return when each has loaded its pipeline.

        Raises:
            FacematchError: a pipeline cannot be loaded; the message says why.

        """
        try:
            async with asyncio.timeout(_START_SECONDS), asyncio.TaskGroup() as group:
                for process in self._processes:
                    group.create_task(self._warm_up(process))
        except* FacematchError as errors:
            await self.close()
            raise next(_leaves(errors)) from None
        except* TimeoutError:
            await self.close()
            raise EmbedderTimeoutError(f"{self._info.id} was not loaded within {_START_SECONDS:.0f} s") from None
        for process in self._processes:
            self._free.put_nowait(process)

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do as the port says, in the next process that is free."""
        process = await self._free.get()
        if self._closed:
            self._free.put_nowait(process)  # wakes the next one who waits
            raise AttemptFailedError("the pool of vision processes is closed")
        task = asyncio.create_task(self._read_in(process, image, embed))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End all processes now; whoever still waits for a photograph gets an error."""
        self._closed = True
        self._free.put_nowait(self._processes[0])
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def _warm_up(self, process: _Process) -> None:
        try:
            await process.schedule(child.ready, _START_SECONDS)
        except (pebble.ProcessExpired, BrokenProcessPool) as error:
            raise EmbedderCrashedError(f"a process died while it loaded {self._info.id}: {error}") from error

    async def _read_in(self, process: _Process, image: bytes, embed: Embed) -> PhotoReading:
        try:
            return await self._attempt(process, image, embed)
        except asyncio.CancelledError:
            raise AttemptFailedError("the pool of vision processes was closed") from None
        finally:
            self._free.put_nowait(process)

    async def _attempt(self, process: _Process, image: bytes, embed: Embed) -> PhotoReading:
        seconds = self._limits.seconds
        patience = asyncio.timeout(seconds + _START_SECONDS)
        try:
            async with patience:
                return await process.schedule(child.read, seconds, image, embed)
        except pebble.ProcessExpired as error:
            self._restarts += 1
            raise EmbedderCrashedError(f"the process that read the photograph ended with {error.exitcode}") from error
        except BrokenProcessPool as error:
            await self._replace(process)
            raise EmbedderCrashedError("the process that was to read the photograph was gone") from error
        except TimeoutError as error:
            if patience.expired():
                await self._replace(process)
            else:
                self._restarts += 1
            raise EmbedderTimeoutError(f"the photograph was not read within {seconds:g} s") from error

    async def _replace(self, process: _Process) -> None:
        self._restarts += 1
        await process.replace()


def _leaves(errors: BaseExceptionGroup[FacematchError]) -> Iterator[FacematchError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error

"""Face pipelines in processes of their own, which may crash, hang or grow without harm to the caller."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TypeVar

import attrs

from adapters.vision import registry, wire
from adapters.vision.process import VisionProcess
from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.errors import AttemptFailedError, EmbedderTimeoutError
from domain.faces import PhotoReading

_T = TypeVar("_T")


@attrs.frozen
class PoolLimits:
    """What a process may use: seconds per photograph, bytes of private memory, photographs until it is replaced."""

    seconds: float = 30.0
    memory: int = 2 * 1024**3
    photographs: int = 5_000


class _Place:
    """A place in the pool: always a process, or one that is being started after the last one ended."""

    def __init__(self, settings: wire.ChildSettings, on_loss: Callable[[], None]) -> None:
        self._settings = settings
        self._on_loss = on_loss
        self._latest: VisionProcess | None = None
        self._retired: VisionProcess | None = None
        self._closed = False
        self._process = self._start()

    async def process(self) -> VisionProcess:
        """Return the process when it is ready.

        Raises:
            AttemptFailedError: it could not be started; the next call tries again.

        """
        if self._process.done() and self._process.exception():
            self._process = self._start()
        return await asyncio.shield(self._process)

    async def renew(self, process: VisionProcess) -> None:
        """Have another process take this one's place."""
        self._retired = process
        await process.stop()

    async def close(self) -> None:
        """End the process now."""
        if not self._closed:
            self._closed = True
            self._process.cancel()
        await asyncio.wait([self._process])
        if self._latest is not None:
            await self._latest.stop()

    def _start(self) -> asyncio.Task[VisionProcess]:
        return _task(self._started())

    async def _started(self) -> VisionProcess:
        self._latest = process = VisionProcess(self._settings)
        await process.ready()
        process.on_end(self._ended)
        return process

    def _ended(self, process: VisionProcess) -> None:
        if self._closed:
            return
        if process is not self._retired:
            self._on_loss()
        self._process = self._start()


class ProcessPoolFaceReader:
    """Reads photographs in a pool of processes, each with a pipeline of its own.

    A process that dies, at work or idle, is replaced at once; so is one that takes too long for a photograph, which
    is killed. A reader whose caller is cancelled finishes the photograph, within its time limit, before its process
    is given another one.

    Args:
        embedder: name under which the pipeline is registered.
        budget: what an image may cost.
        processes: how many photographs are read at once.
        limits: what a process may use.

    """

    def __init__(self, embedder: str, budget: ImageBudget, processes: int, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._info = registry.load(embedder).info
        self._settings = wire.ChildSettings(os.getpid(), embedder, budget, self._limits.memory)
        self._size = processes
        self._places: list[_Place] = []
        self._free: asyncio.Queue[_Place] = asyncio.Queue()
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
            AttemptFailedError: a pipeline cannot be loaded; the message says why.

        """
        self._places = [_Place(self._settings, self._count_restart) for _ in range(self._size)]
        try:
            await asyncio.gather(*(place.process() for place in self._places))
        except BaseException:
            await self.close()
            raise
        for place in self._places:
            self._free.put_nowait(place)

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do as the port says, in the next process that is free."""
        place = await self._free.get()
        if self._closed:
            self._free.put_nowait(place)  # wakes the next one who waits
            raise AttemptFailedError("the pool of vision processes is closed")
        task = _task(self._read_in(place, image, embed))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End all processes now; whoever still waits for a photograph gets an error."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(place.close() for place in self._places))
        for place in self._places[:1]:
            self._free.put_nowait(place)

    async def _read_in(self, place: _Place, image: bytes, embed: Embed) -> PhotoReading:
        try:
            process = await place.process()
            try:
                async with asyncio.timeout(self._limits.seconds):
                    return await process.read(image, embed)
            except TimeoutError as error:
                await process.stop()
                raise EmbedderTimeoutError(f"the photograph was not read within {self._limits.seconds:g} s") from error
            finally:
                if process.readings >= self._limits.photographs:
                    await place.renew(process)
        except asyncio.CancelledError:
            raise AttemptFailedError("the pool of vision processes was closed") from None
        finally:
            self._free.put_nowait(place)

    def _count_restart(self) -> None:
        self._restarts += 1


def _task(coroutine: Coroutine[None, None, _T]) -> asyncio.Task[_T]:
    """Return a task whose failure is no news to the event loop when nobody waits for it any more."""
    task = asyncio.create_task(coroutine)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task

"""Face pipelines in processes of their own, which may crash, hang or grow without harm to the caller."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar

import attrs

from adapters.vision.processes import wire
from adapters.vision.processes.fork_server import ForkServer
from adapters.vision.processes.process import VisionProcess
from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.errors import AttemptFailedError, EmbedderCrashedError, EmbedderTimeoutError, EmbedderUnavailableError
from domain.faces import PhotoReading

PAUSE_SECONDS: Final = 1.0
"""The pause before a start that follows a vain one; it grows by as much with each, up to the longest."""
LONGEST_PAUSE_SECONDS: Final = 5.0
_FIRST_STARTS: Final = 5
"""How many processes may die in one place before the pool is started: one by one they are killed by chance."""
CHECK_SECONDS: Final = 12.0
"""How long a check may take: the longest pause and an ordinary start."""
_T = TypeVar("_T")


_ENOUGH_MEMORY: Final = 2 * 1024**3
_MEMORY_OF_PIPELINE: Final = 512 * 1024**2
_MEMORY_PER_PIXEL: Final = 24
"""Bytes that the neediest decoders take for each pixel, and some more: WebP takes 19."""


@attrs.frozen
class PoolLimits:
    """What a process may use.

    ``seconds`` for a photograph, and ``memory``: bytes that belong to no file, by default enough for the largest
    photograph that the budget allows, since decoders without memory take a photograph for a broken one. It is replaced,
    and no job hears of it, after so many ``photographs``, and when it has grown by so many bytes, ``growth``.
    """

    seconds: float = 30.0
    memory: int | None = None
    photographs: int = 5_000
    growth: int = 512 * 1024**2

    def memory_for(self, budget: ImageBudget) -> int:
        """Return how many bytes of memory a process may have."""
        if self.memory is not None:
            return self.memory
        return max(_ENOUGH_MEMORY, _MEMORY_OF_PIPELINE + _MEMORY_PER_PIXEL * budget.max_pixels)


class _LostAtStartError(EmbedderUnavailableError):
    """A process died while it was being started: of the pipeline, or because somebody killed it."""


class _Place:
    """A place in the pool: always a process, or one that is being started after the last one ended."""

    def __init__(self, fork_server: ForkServer, on_loss: Callable[[], None]) -> None:
        self._fork_server = fork_server
        self._on_loss = on_loss
        self._latest: VisionProcess | None = None
        self._retired: VisionProcess | None = None
        self._closed = False
        self._vain_starts = 0
        self._process = self._start()

    @property
    def is_starting(self) -> bool:
        """Whether a process is being started, or will be after a pause."""
        return not self._process.done()

    @property
    def is_ready(self) -> bool:
        """Whether the process has loaded its pipeline."""
        return _has_started(self._process)

    @property
    def memory(self) -> int:
        """How many bytes the process held when it was last asked; 0 where there is none."""
        process = self._process  # looked up once: other threads ask, and the event loop may replace it meanwhile
        return process.result().memory if _has_started(process) else 0

    async def process(self) -> VisionProcess:
        """Return the process when it is ready.

        Raises:
            EmbedderUnavailableError: it could not be started; the next call tries again, after a pause.

        """
        if not (self._closed or self.is_starting or self.is_ready):
            self._process = self._start()
        process = self._process
        try:
            return await asyncio.shield(process)
        except asyncio.CancelledError:
            if process.cancelled():
                raise EmbedderUnavailableError("the pool of vision processes was closed") from None
            raise

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
        await asyncio.sleep(min(self._vain_starts * PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
        self._vain_starts += 1  # until it has looked at a photograph
        try:
            self._latest = process = await self._fork_server.process()
        except EmbedderUnavailableError:
            raise
        except (EmbedderCrashedError, OSError) as error:
            raise _LostAtStartError(f"no vision process can be started: {error}") from error
        except AttemptFailedError as error:
            raise EmbedderUnavailableError(f"no vision process can be started: {error}") from error
        process.on_end(self._ended)
        return process

    def _ended(self, process: VisionProcess) -> None:
        if self._closed:
            return
        if process is not self._retired:
            self._on_loss()
        if process.readings:
            self._vain_starts = 0
        self._process = self._start()


class ProcessPoolFaceReader:
    """Reads photographs in a pool of processes, which share a pipeline that was loaded once.

    A process that dies, at work or idle, is replaced at once; so is one that takes too long for a photograph, which
    is killed. A photograph whose process dies is read once more by a new one, unless the process had looked at no
    other: what died of an earlier photograph, or was killed from outside, says nothing about this one. Where no process
    can be started the pool is a dependency that is down; each start that was in vain makes the pause before the next
    one longer, and nothing is tried that nobody asks for. A reader whose caller is cancelled finishes the photograph,
    within its time limit, before its process is given another one.

    Args:
        embedder: name under which the pipeline is registered.
        info: who that is; a process that finds somebody else under the name is refused.
        budget: what an image may cost.
        processes: how many photographs are read at once.
        limits: what a process may use.

    """

    def __init__(
        self, embedder: str, info: EmbedderInfo, budget: ImageBudget, processes: int, limits: PoolLimits | None = None
    ) -> None:
        self._limits = limits or PoolLimits()
        self._info = info
        memory = self._limits.memory_for(budget)
        self._fork_server = ForkServer(wire.ChildSettings(os.getpid(), embedder, info.id, budget, memory))
        self._size = processes
        self._places: list[_Place] = []
        self._free: asyncio.Queue[_Place] = asyncio.Queue()
        self._running: set[asyncio.Task[PhotoReading]] = set()
        self._restarts = 0
        self._closed = False

    @property
    def name(self) -> str:
        """What people call it as a dependency."""
        return "embedder"

    @property
    def info(self) -> EmbedderInfo:
        """Who makes the embeddings."""
        return self._info

    @property
    def restarts(self) -> int:
        """How many processes were replaced because they died or had to be killed."""
        return self._restarts

    @property
    def memory(self) -> int:
        """How many bytes of memory the processes hold together; what several share counts for each."""
        return sum(place.memory for place in self._places)

    def begin(self) -> None:
        """Let the pipeline be loaded already, before there is an event loop; :meth:`close` ends that, too."""
        self._fork_server.begin()

    def abandon(self) -> None:
        """End what was begun, where there will be no event loop to close it in."""
        self._fork_server.abandon()

    async def start(self) -> None:
        """Start all processes and return when each has loaded its pipeline; those that die meanwhile are replaced.

        Raises:
            EmbedderUnavailableError: a pipeline cannot be loaded, or its processes keep dying; the message says why.

        """
        self._places = [_Place(self._fork_server, self._count_restart) for _ in range(self._size)]
        try:
            await asyncio.gather(*map(self._first_process, self._places))
        except BaseException:
            await self.close()
            raise
        for place in self._places:
            self._free.put_nowait(place)

    async def check(self) -> None:
        """Return when a process is ready; where there is none, one is started.

        Raises:
            EmbedderUnavailableError: it cannot be started, or takes too long; the message says why.

        """
        if any(place.is_ready for place in self._places):
            return
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._first_ready([place for place in self._places if place.is_starting] or self._places[:1])
        except TimeoutError:
            raise EmbedderUnavailableError(f"no vision process was ready within {CHECK_SECONDS:g} s") from None

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Do as the port says, in the next process that is free.

        Raises:
            EmbedderUnavailableError: there is no process, and none can be started.

        """
        place = await self._free_place()
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
        await self._fork_server.close()
        for place in self._places[:1]:
            self._free.put_nowait(place)

    async def _free_place(self) -> _Place:
        """Return a place with a process that is ready; one without is passed over while there are others."""
        while True:
            place = await self._free.get()
            if self._closed:
                self._free.put_nowait(place)  # wakes the next one who waits
                raise AttemptFailedError("the pool of vision processes is closed")
            try:
                await place.process()
            except BaseException as error:
                self._free.put_nowait(place)
                if isinstance(error, EmbedderUnavailableError) and any(other.is_ready for other in self._places):
                    continue
                raise
            return place

    @staticmethod
    async def _first_process(place: _Place) -> None:
        for start in range(1, _FIRST_STARTS + 1):
            try:
                await place.process()
            except _LostAtStartError:
                if start == _FIRST_STARTS:
                    raise
            else:
                return

    @staticmethod
    async def _first_ready(places: list[_Place]) -> None:
        """Return when one of them has a process; raise the last one's error when none has."""
        asked = [_task(place.process()) for place in places]
        failure = EmbedderUnavailableError("the pool of vision processes is not started")
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    await answer
                except EmbedderUnavailableError as error:
                    failure = error
                else:
                    return
        finally:
            for task in asked:
                task.cancel()
        raise failure

    async def _read_in(self, place: _Place, image: bytes, embed: Embed) -> PhotoReading:
        try:
            process = await place.process()
            try:
                return await self._read_by(process, place, image, embed)
            except EmbedderCrashedError:
                if process.readings == 1:
                    raise
                await process.stop()
            return await self._read_by(await place.process(), place, image, embed)
        except asyncio.CancelledError:
            raise AttemptFailedError("the pool of vision processes was closed") from None
        finally:
            self._free.put_nowait(place)

    async def _read_by(self, process: VisionProcess, place: _Place, image: bytes, embed: Embed) -> PhotoReading:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await process.read(image, embed)
        except TimeoutError as error:
            await process.stop()
            raise EmbedderTimeoutError(f"the photograph was not read within {self._limits.seconds:g} s") from error
        finally:
            if process.readings >= self._limits.photographs or process.growth > self._limits.growth:
                await place.renew(process)

    def _count_restart(self) -> None:
        self._restarts += 1


def _has_started(process: asyncio.Task[VisionProcess]) -> bool:
    return process.done() and not process.cancelled() and process.exception() is None


def _task(coroutine: Coroutine[None, None, _T]) -> asyncio.Task[_T]:
    """Return a task whose failure is no news to the event loop when nobody waits for it any more."""
    task = asyncio.create_task(coroutine)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task

"""One process that looks at photographs, as its parent sees it."""

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from adapters.vision.pictures.cpu_limit import ENDS_BY
from adapters.vision.processes import wire
from application.ports.face_pipeline import Embed
from domain.errors import EmbedderCrashedError, FacematchError, ImageTooLargeError
from domain.faces import PhotoReading

_LAST_WORDS_SECONDS: Final = 1.0
"""How long a process that has hung up may take to end with an exit code of its own."""
_REAP_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = 0.5
"""How often a process is asked what memory it holds."""
_Answer = TypeVar("_Answer", PhotoReading, wire.Pixels)
_HELD: Final = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
"""Memory that belongs to no file, private and shared, in ``/proc/PID/status``."""


class ProcessHandle(Protocol):
    """What a process can be killed and reaped by."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def kill(self) -> None:
        """Kill it, unless it has ended."""

    async def returncode(self) -> int | None:
        """Return what it ended with, negative for a signal's number; None while it runs."""


class VisionProcess:
    """A running process that has loaded a pipeline, and the connection to it."""

    def __init__(self, channel: socket.socket, handle: ProcessHandle, settings: wire.ChildSettings) -> None:
        self._handle = handle
        self._memory_limit = settings.memory_limit
        self._decoding_seconds = settings.budget.decoding_seconds
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._life = asyncio.create_task(self._live(channel))
        self._stopped = False
        self._outgrown = False
        self._returncode: int | None = None
        self._at_first = 0
        self.readings = 0
        self.memory = 0
        """How many bytes of memory it held when it was last asked."""
        self.growth = 0
        """By how many bytes of memory it has grown since it had read its first photograph."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._handle.pid

    def on_end(self, callback: Callable[["VisionProcess"], None]) -> None:
        """Have the callback called when the process has ended, however that happened."""
        self._life.add_done_callback(lambda _: callback(self))

    async def read(self, image: bytes, embed: Embed) -> PhotoReading:
        """Return what the process sees on the image; nobody else may ask meanwhile.

        Raises:
            FacematchError: as the pipeline does; an ImageTooLargeError also when the process has reached its limit of
                CPU time for decoding, and died of that.
            EmbedderCrashedError: the process died, or is no longer sane and was killed.

        """
        return await self._asked(image, embed, PhotoReading)

    async def picture(self, image: bytes) -> wire.Pixels:
        """Return the image decoded, by a process that was started for that; raises what :meth:`read` does."""
        return await self._asked(image, Embed.NONE, wire.Pixels)

    async def _asked(self, image: bytes, embed: Embed, kind: type[_Answer]) -> _Answer:
        self.readings += 1
        await self._connected.wait()
        if self._writer is not None:
            for part in wire.request(image, embed):
                self._writer.write(part)
            with contextlib.suppress(ConnectionError):  # then it died, and the missing answer says so
                await self._writer.drain()
        try:
            answer = await self._answer()
        finally:
            self.memory = self._held()
            self._at_first = self._at_first or self.memory
            self.growth = self.memory - self._at_first
        if not isinstance(answer, kind):
            await self.stop()
            raise EmbedderCrashedError("the vision process answered what was not asked, and was killed")
        return answer

    async def stop(self) -> None:
        """Kill it, and return when it has ended."""
        if not self._stopped:
            self._stopped = True
            self._life.cancel()
        await asyncio.wait([self._life])

    async def _answer(self) -> PhotoReading | wire.Pixels | None:
        content = await self._answers.get()
        if content is None:
            self._answers.put_nowait(None)  # there will never be another answer
            raise self._death()
        try:
            return wire.parse_answer(content)
        except wire.NonsenseError as error:
            await self.stop()
            raise EmbedderCrashedError(f"the vision process answered nonsense, and was killed: {error}") from error

    async def _live(self, channel: socket.socket) -> None:
        """Pass on what the process says until it has ended, or until this task is cancelled, which ends it."""
        watch = asyncio.create_task(self._watch())
        try:
            async with wire.messages(channel) as (answers, self._writer):
                self._connected.set()
                async for content in answers:
                    self._answers.put_nowait(content)
                await self._wait(_LAST_WORDS_SECONDS)
        finally:
            watch.cancel()
            if self._returncode is None:
                self._handle.kill()
            try:
                await self._wait(_REAP_SECONDS)
            finally:
                self._connected.set()
                self._answers.put_nowait(None)

    async def _wait(self, seconds: float) -> None:
        """Return when the process has ended, or after that time; takes no thread, for all may be busy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._returncode is None:
                    self._returncode = await self._handle.returncode()
                    if self._returncode is None:
                        await asyncio.sleep(0.001)

    async def _watch(self) -> None:
        """Kill it when it holds more memory than it may: the limit that the kernel keeps is on private memory alone."""
        while (held := self._held()) <= self._memory_limit:
            self.memory = held
            await asyncio.sleep(_WATCH_SECONDS)
        self._outgrown = True
        self._handle.kill()

    def _held(self) -> int:
        """Return how many bytes of memory it holds; 0 when it has ended, or where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/status", "rb", buffering=0) as file:  # noqa: PTH123 - asked after every reading
                status = file.read()
        except OSError:
            return 0
        return sum(map(int, _HELD.findall(status))) * 1024

    def _death(self) -> FacematchError:
        if self._returncode == -ENDS_BY:
            allowed = f"the allowed {self._decoding_seconds:g} s of CPU time"
            return ImageTooLargeError(f"decoding the image took more than {allowed}")
        if self._returncode == wire.OUT_OF_MEMORY or self._outgrown:
            return EmbedderCrashedError("the vision process reached its memory limit")
        return EmbedderCrashedError(f"the vision process {ending(self._returncode)}")


def ending(code: int | None) -> str:
    """Return the words for what a process ended with."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"

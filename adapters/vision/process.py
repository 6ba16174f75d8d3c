"""One process that looks at photographs, as its parent sees it."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from adapters.vision import wire
from application.ports.face_pipeline import Embed
from domain.errors import EmbedderCrashedError, EmbedderTimeoutError
from domain.faces import PhotoReading

START_SECONDS: Final = 120.0
"""How long a process may take to import its libraries and load its models."""
_LAST_WORDS_SECONDS: Final = 1.0
"""How long a process that has hung up may take to end with an exit code of its own."""
_REAP_SECONDS: Final = 5.0
_WATCH_SECONDS: Final = 0.5
"""How often a process is asked what memory it holds."""
_HELD: Final = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
"""Memory that belongs to no file, private and shared, in ``/proc/PID/status``."""
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The pool is as wide as the machine: threads of a single process would only be in the way of the others."""
_KEPT_FROM_IT: Final = ("FACEMATCH_", "OTEL_", "PG", "AWS_", "MINIO_")
_MEANT_FOR_IT: Final = frozenset({"FACEMATCH_EMBEDDER_FILE", "FACEMATCH_CACHE"})
"""Secrets of the service are among its variables; native code that reads strangers' images gets none of them."""


class VisionProcess:
    """A running process with a pipeline; begin with :meth:`ready`.

    It is started by, and lives no longer than, the thread that runs the event loop.

    Raises:
        OSError: the system has no process, memory or file descriptor to spare.

    """

    def __init__(self, settings: wire.ChildSettings) -> None:
        self._embedder = settings.embedder
        self._memory_limit = settings.memory_limit
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._popen = _spawn(settings, theirs)
            except OSError:
                ours.close()
                raise
        self._answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._life = asyncio.create_task(self._live(ours))
        self._stopped = False
        self._outgrown = False
        self._at_first = 0
        self.readings = 0
        self.growth = 0
        """By how many bytes of memory it has grown since it had read its first photograph."""

    async def ready(self) -> None:
        """Return when it has loaded its pipeline; it is stopped where it has not.

        Raises:
            EmbedderUnavailableError: the pipeline cannot be loaded; the message says why.
            EmbedderCrashedError, EmbedderTimeoutError: it died, or did not say anything, meanwhile.

        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._answer()
        except TimeoutError as error:
            await self.stop()
            raise EmbedderTimeoutError(
                f"embedder {self._embedder!r} was not loaded within {START_SECONDS:.0f} s"
            ) from error
        except BaseException:
            await self.stop()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def on_end(self, callback: Callable[["VisionProcess"], None]) -> None:
        """Have the callback called when the process has ended, however that happened."""
        self._life.add_done_callback(lambda _: callback(self))

    async def read(self, image: bytes, embed: Embed) -> PhotoReading:
        """Return what the process sees on the image; nobody else may ask meanwhile.

        Raises:
            FacematchError: as the pipeline does.
            EmbedderCrashedError: the process died, or is no longer sane and was killed.

        """
        self.readings += 1
        if self._writer is not None:
            for part in wire.request(image, embed):
                self._writer.write(part)
            with contextlib.suppress(ConnectionError):  # then it died, and the missing answer says so
                await self._writer.drain()
        try:
            reading = await self._answer()
        finally:
            held = self._held()
            self._at_first = self._at_first or held
            self.growth = held - self._at_first
        if reading is None:
            await self.stop()
            raise EmbedderCrashedError("the vision process answered what was not asked, and was killed")
        return reading

    async def stop(self) -> None:
        """Kill it, and return when it has ended."""
        if not self._stopped:
            self._stopped = True
            self._life.cancel()
        await asyncio.wait([self._life])

    async def _answer(self) -> PhotoReading | None:
        content = await self._answers.get()
        if content is None:
            self._answers.put_nowait(None)  # there will never be another answer
            raise EmbedderCrashedError(f"the vision process {self._ending()}")
        try:
            return wire.parse_answer(content)
        except wire.NonsenseError as error:
            await self.stop()
            raise EmbedderCrashedError(f"the vision process answered nonsense, and was killed: {error}") from error

    async def _live(self, channel: socket.socket) -> None:
        """Pass on what the process says until it has ended, or until this task is cancelled, which ends it."""
        watch = asyncio.create_task(self._watch())
        try:
            reader, self._writer = await asyncio.open_connection(sock=channel)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while (size := int.from_bytes(await reader.readexactly(wire.LENGTH_BYTES))) <= wire.LONGEST_ANSWER:
                    self._answers.put_nowait(await reader.readexactly(size))
            await self._wait(_LAST_WORDS_SECONDS)
        finally:
            watch.cancel()
            if self._writer is not None:
                self._writer.transport.abort()
            channel.close()
            self._popen.kill()
            try:
                await self._wait(_REAP_SECONDS)
            finally:
                self._answers.put_nowait(None)

    async def _wait(self, seconds: float) -> None:
        """Return when the process has ended, or after that time; takes no thread, for all may be busy."""
        deadline = time.monotonic() + seconds
        while self._popen.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)

    async def _watch(self) -> None:
        """Kill it when it holds more memory than it may: the limit that the kernel keeps is on private memory alone."""
        while self._held() <= self._memory_limit:  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(_WATCH_SECONDS)
        self._outgrown = True
        self._popen.kill()

    def _held(self) -> int:
        """Return how many bytes of memory it holds; 0 when it has ended, or where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/status", "rb", buffering=0) as file:  # noqa: PTH123 - asked after every reading
                status = file.read()
        except OSError:
            return 0
        return sum(map(int, _HELD.findall(status))) * 1024

    def _ending(self) -> str:
        code = self._popen.returncode
        if code == wire.OUT_OF_MEMORY or self._outgrown:
            return "reached its memory limit"
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def _spawn(settings: wire.ChildSettings, channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start the program; it finds the packages that this one finds, and a terminal's Ctrl-C does not reach it."""
    return subprocess.Popen(  # noqa: S603 - our own program, with fixed arguments
        [sys.executable, "-P", "-m", "adapters.vision.child", settings.to_text()],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        env={**_ONE_THREAD, **_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Return this process's variables without those that say where the service's servers are, and as whom."""
    return {
        name: value for name, value in os.environ.items() if name in _MEANT_FOR_IT or not name.startswith(_KEPT_FROM_IT)
    }

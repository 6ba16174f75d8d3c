"""The process that loads a pipeline, once for all of a pool, and makes the pool's processes by forking.

They share its memory until they write to it, so that a model is in memory once, and a new one is ready at once. A
pipeline that has started threads cannot be forked: its process serves as the only one that it makes, and the next is
loaded anew.
"""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import Final, Self

import attrs

from adapters.vision.processes import wire
from adapters.vision.processes.process import VisionProcess, ending
from domain.errors import EmbedderCrashedError, EmbedderTimeoutError

START_SECONDS: Final = 120.0
"""How long a process may take to import its libraries and load its models."""
_FORK_SECONDS: Final = 10.0
_REAP_SECONDS: Final = 5.0
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The pool is as wide as the machine: threads of a single process would only be in the way of the others."""
_KEPT_FROM_IT: Final = ("FACEMATCH_", "OTEL_", "PG", "AWS_", "MINIO_")
_MEANT_FOR_IT: Final = frozenset({"FACEMATCH_EMBEDDER_FILE", "FACEMATCH_CACHE"})
"""Secrets of the service are among its variables; native code that reads strangers' images gets none of them."""


class ForkServer:
    """Makes processes; itself it is started when told to, or when one is wanted, and again after it has ended.

    What it starts lives no longer than the thread that runs the event loop.
    """

    def __init__(self, settings: wire.ChildSettings) -> None:
        self._settings = settings
        self._begun: _Program | None = None
        self._start: asyncio.Task[_Running] | None = None
        self._forks = True
        self._closed = False

    def begin(self) -> None:
        """Start it already, without an event loop; where that fails, the first who wants a process hears why."""
        with suppress(OSError):
            self._begun = _Program.started(self._settings)

    def abandon(self) -> None:
        """End what :meth:`begin` has started, unless somebody has asked for a process."""
        program, self._begun = self._begun, None
        if program is not None:
            program.end()

    async def process(self) -> VisionProcess:
        """Return a new process, which has the pipeline.

        Raises:
            EmbedderUnavailableError: the pipeline cannot be loaded; the message says why.
            EmbedderCrashedError, EmbedderTimeoutError: the process died, or did not say anything, meanwhile.
            OSError: the system has no process, memory or file descriptor to spare.

        """
        if self._forks:
            server = await self._shared()
            if server.forks:
                return await self._made_by(server, wire.NEW_PROCESS)
            if self._forks:
                self._forks, self._start = False, None
                return await self._become(server)
        return await self._become(await _Running.started(self._settings))

    async def close(self) -> None:
        """End it; the processes that it has made end with it."""
        self.abandon()
        if self._start is not None:
            if not self._closed:
                self._closed = True
                self._start.cancel()
            await asyncio.wait([self._start])
            if not self._start.cancelled() and self._start.exception() is None:
                await self._start.result().stop()

    async def _shared(self) -> "_Running":
        """Return the one that is running; whoever asks while it is started gets it, or hears why there is none."""
        start = self._start
        if start is None or (start.done() and (start.cancelled() or start.exception() or start.result().has_ended)):
            program, self._begun = self._begun, None
            start = self._start = asyncio.create_task(_Running.started(self._settings, program))
            start.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(start)

    async def _become(self, server: "_Running") -> VisionProcess:
        """Have it look at photographs itself."""
        try:
            return await self._made_by(server, wire.ITSELF)
        except BaseException:
            await server.stop()
            raise

    async def _made_by(self, server: "_Running", which: int) -> VisionProcess:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                pid = await server.make(which, theirs)
        except BaseException:
            ours.close()
            raise
        return VisionProcess(ours, _ForkedProcessHandle(server, pid), self._settings)


@attrs.frozen
class _Program:
    """The program in a process of its own, and our end of the socket that it is asked on, twice."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    requests: socket.socket

    @classmethod
    def started(cls, settings: wire.ChildSettings) -> Self:
        """Start it; it begins to load the pipeline."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as unless_started:
            unless_started.enter_context(ours)
            requests = unless_started.enter_context(ours.dup())
            program = cls(_spawn(settings, theirs), ours, requests)
            unless_started.pop_all()
        return program

    def end(self) -> None:
        """Kill it before anybody has asked it for anything."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.requests.close()


class _Running:
    """A process that loads, or has loaded, the pipeline; begin with :meth:`started`."""

    def __init__(self, program: _Program) -> None:
        self._popen, self._requests = program.process, program.requests
        loop = asyncio.get_running_loop()
        self._loaded, self._said_whether = loop.create_future(), loop.create_future()
        self._expected = deque([self._loaded, self._said_whether])
        self.forks = False
        """Whether it makes others; if not, it can only look at photographs itself."""
        self._stopped = False
        self._life = asyncio.create_task(self._live(program.channel))

    @classmethod
    async def started(cls, settings: wire.ChildSettings, program: _Program | None = None) -> "_Running":
        """Return one that has loaded the pipeline; it is stopped where it has not. The program may be running."""
        server = cls(program or _Program.started(settings))
        try:
            async with asyncio.timeout(START_SECONDS):
                wire.parse_answer(await server._loaded)
                server.forks = bool(wire.parse_number(await server._said_whether))
        except TimeoutError as error:
            await server.stop()
            raise EmbedderTimeoutError(f"{settings.loaded} was not loaded within {START_SECONDS:.0f} s") from error
        except wire.NonsenseError as error:
            await server.stop()
            raise EmbedderCrashedError(f"the vision process answered nonsense, and was killed: {error}") from error
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        """Whether it makes no process any more."""
        return self.returncode is not None

    @property
    def returncode(self) -> int | None:
        """What it ended with, negative for a signal's number; None while it runs."""
        return self._popen.poll()

    async def make(self, which: int, channel: socket.socket) -> int:
        """Have a new process, or this one itself, answer on the channel; return its id."""
        try:
            async with asyncio.timeout(_FORK_SECONDS):
                made = await self._ask(which, channel.fileno()) or -errno.EPROTO
        except TimeoutError as error:
            await self.stop()
            raise EmbedderTimeoutError(f"no vision process was made within {_FORK_SECONDS:g} s") from error
        if made < 0:
            raise OSError(-made, os.strerror(-made))
        return made

    async def returncode_of(self, pid: int) -> int | None:
        """Return what a process ended with that it has made; None while it runs. With this one all end."""
        try:
            return await self._ask(pid)
        except EmbedderCrashedError:
            with suppress(ChildProcessError):  # it is this process's child where that is the first of the system's
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - waits for nothing
            return -signal.SIGKILL

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self._popen.kill()

    async def stop(self) -> None:
        """Kill it, and return when it has ended."""
        if not self._stopped:
            self._stopped = True
            self._life.cancel()
        await asyncio.wait([self._life])

    async def _ask(self, what: int, *descriptors: int) -> int | None:
        try:
            socket.send_fds(self._requests, [what.to_bytes(wire.REQUEST_BYTES)], descriptors)
        except OSError as error:
            self.kill()
            raise EmbedderCrashedError(f"the process that makes vision processes cannot be asked: {error}") from error
        answer = asyncio.get_running_loop().create_future()
        self._expected.append(answer)
        return wire.parse_number(await answer)

    async def _live(self, channel: socket.socket) -> None:
        """Pass on its answers until it has ended, or until this task is cancelled, which ends it."""
        try:
            async with wire.messages(channel) as (answers, _):
                async for content in answers:
                    answer = self._expected.popleft()
                    if not answer.done():
                        answer.set_result(content)
        finally:
            self._requests.close()
            self._popen.kill()
            deadline = time.monotonic() + _REAP_SECONDS
            try:
                while not self.has_ended and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody would set an event
                    await asyncio.sleep(0.001)
            finally:
                for answer in self._expected:
                    if not answer.done():
                        answer.set_exception(self._ended())
                        answer.exception()  # no news to the event loop where nobody waits for it any more

    def _ended(self) -> EmbedderCrashedError:
        return EmbedderCrashedError(f"the process that makes vision processes {ending(self.returncode)}")


@attrs.frozen
class _ForkedProcessHandle:
    """What a process that was made is killed and reaped by: its maker alone hears how it ends."""

    _server: _Running
    pid: int

    def kill(self) -> None:
        """Kill it; its id is nobody else's until another process is made."""
        if self.pid == self._server.pid:
            self._server.kill()
        elif not self._server.has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def returncode(self) -> int | None:
        """Return what it ended with, None while it runs."""
        if self.pid == self._server.pid:
            return self._server.returncode
        return await self._server.returncode_of(self.pid)


def _spawn(settings: wire.ChildSettings, channel: socket.socket) -> subprocess.Popen[bytes]:
    """Start the program; it finds the packages that this one finds, and a terminal's Ctrl-C does not reach it."""
    return subprocess.Popen(  # noqa: S603 - our own program, with fixed arguments
        [sys.executable, "-P", "-m", "adapters.vision.processes.child", settings.to_text()],
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

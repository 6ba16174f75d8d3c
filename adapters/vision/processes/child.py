"""The program that vision processes run: it loads one pipeline, or the decoder, once, and makes them by forking.

Started as ``python -m adapters.vision.processes.child SETTINGS`` with one end of a socket as its standard input. Each
of the processes is asked again and again, on a socket of its own.
"""

import contextlib
import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

from adapters.vision.guard import MemoryExhaustedError, load, read_with
from adapters.vision.processes import wire
from application.ports.face_pipeline import Embed
from domain.errors import EmbedderUnavailableError, FacematchError
from domain.faces import PhotoReading

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_OOM_SCORE_OVER_WORKER: Final = 400
_OOM_SCORE_OVER_FORK_SERVER: Final = 100
"""By how much the kernel, out of memory, shall rather kill a process than the one that started it."""
_MOST_EXPENDABLE: Final = 1000
_Look = Callable[[bytes, Embed], PhotoReading | wire.Pixels]
"""What a process does with an image."""


def main() -> None:
    """Load the pipeline, say so, and make processes until the other side closes."""
    settings = wire.ChildSettings.from_text(sys.argv[1])
    _die_with(settings.parent)
    expendability = _Expendability()
    _confine(settings.memory_limit)
    with socket.socket(fileno=os.dup(0)) as control:
        _point_at_nothing(sys.stdin.fileno())
        try:
            look = _loaded(settings)
        except EmbedderUnavailableError as error:
            control.sendall(b"".join(wire.answer(error)))
            return
        control.sendall(b"".join((*wire.answer(None), *wire.number(int(not _has_threads())))))
        _point_at_nothing(sys.stderr.fileno())  # what native decoders say there may quote the image
        gc.collect()
        gc.freeze()  # else looking for garbage would write to memory that is shared
        _serve(control, look, expendability)


def _loaded(settings: wire.ChildSettings) -> _Look:
    if settings.embedder is None:
        try:
            from adapters.vision.pictures import decoding  # noqa: PLC0415 - a pipeline may have a decoder of its own
        except ImportError as error:
            raise EmbedderUnavailableError(f"the decoder cannot be loaded: {error}") from error

        def decoded(image: bytes, _: Embed) -> wire.Pixels:
            picture = decoding.decode(image, settings.budget)
            return wire.Pixels(picture.width, picture.height, *picture.detail.size, picture.detail.tobytes())

        return decoded
    return partial(read_with, load(settings.embedder, settings.budget, settings.model))


def _serve(control: socket.socket, look: _Look, expendability: "_Expendability") -> None:
    """Do what is asked: make a process, or tell what one ended with."""
    endings = _Endings()
    while True:
        request, descriptors, *_ = socket.recv_fds(control, wire.REQUEST_BYTES, 1, socket.MSG_WAITALL)
        asked = int.from_bytes(request)
        if not request or (asked == wire.NEW_PROCESS and _has_threads()):
            return
        if not descriptors:
            _say(control, endings.of(asked))
        elif asked == wire.ITSELF:
            _say(control, os.getpid())
            _answer_all(descriptors[0], look)
            return
        else:
            endings.release()
            made = _forked(control, descriptors[0], look, expendability)
            endings.begin(made)
            _say(control, made)
            os.close(descriptors[0])


class _Endings:
    """What the processes ended with that were made here; each may be asked about again, until another has its id."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._held: list[int] = []

    def of(self, pid: int) -> int | None:
        """Return what a process ended with, None while it runs; its id stays its own."""
        if pid not in self._known:
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            self._known[pid] = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            self._held.append(pid)
        return self._known[pid]

    def release(self) -> None:
        """Give the ids of those that have been asked about back to the system."""
        for pid in self._held:
            os.waitpid(pid, 0)
        self._held.clear()

    def begin(self, pid: int) -> None:
        """Take note that the id is a new process's."""
        self._known.pop(pid, None)


def _has_threads() -> bool:
    """Whether there are other threads: a fork would leave them behind, with whatever they hold."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) > 1
    except OSError:
        return True


def _forked(control: socket.socket, descriptor: int, look: _Look, expendability: "_Expendability") -> int:
    """Make a process that answers on a socket; return its id, or a negative error number."""
    maker = os.getpid()
    try:
        pid = expendability.fork()
    except OSError as error:
        return -(error.errno or errno.EAGAIN)
    if pid:
        return pid
    code = 1
    try:
        control.close()
        _die_with(maker)
        _answer_all(descriptor, look)
        code = 0
    finally:
        os._exit(code)


def _say(control: socket.socket, number: int | None) -> None:
    control.sendall(b"".join(wire.number(number)))


def _answer_all(descriptor: int, look: _Look) -> None:
    """Answer requests until the other side closes."""
    with socket.socket(fileno=descriptor) as channel, channel.makefile("rwb") as both:
        stream = cast("BinaryIO", both)
        while content := _receive(stream):
            stream.writelines(wire.answer(_result(look, content)))
            stream.flush()


def _result(look: _Look, content: bytes) -> PhotoReading | wire.Pixels | FacematchError:
    image, embed = wire.parse_request(content)
    try:
        return look(image, embed)
    except (MemoryExhaustedError, MemoryError):
        os._exit(wire.OUT_OF_MEMORY)
    except FacematchError as error:
        return error


def _receive(stream: BinaryIO) -> bytes:
    """Return the content of the next message; nothing when the other side has closed."""
    return stream.read(int.from_bytes(stream.read(wire.LENGTH_BYTES)))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class _Expendability:
    """By how much the kernel, out of memory, shall rather kill this process, and those that it makes.

    Make it before :func:`_confine`, from which on the kernel lets nobody but the administrator open the file.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._own = 0
        with contextlib.suppress(OSError):  # where the system's processes are hidden, it is as expendable as others
            self._file = Path("/proc/self/oom_score_adj").open("r+b", buffering=0)  # noqa: SIM115 - for as long as this process forks
            self._own = min(int(self._file.read()) + _OOM_SCORE_OVER_WORKER, _MOST_EXPENDABLE)
        self._set(self._own)

    def fork(self) -> int:
        """Do as :func:`os.fork` does; the new process takes over what this one is for that moment."""
        self._set(min(self._own + _OOM_SCORE_OVER_FORK_SERVER, _MOST_EXPENDABLE))
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                self._set(self._own)
            elif self._file is not None:
                self._file.close()
        return pid

    def _set(self, score: int) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.write(str(score).encode())


def _confine(memory_limit: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # both may reach all processes of a service; the parent decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold photographs
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # and so would what other processes of the user may read


def _point_at_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)


if __name__ == "__main__":
    main()

"""What runs in a process of the pool: one pipeline, loaded once, asked again and again.

Started as ``python -m adapters.vision.child SETTINGS`` with one end of a socket as its standard input.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import BinaryIO, Final, cast

from adapters.vision import wire
from adapters.vision.guard import MemoryExhaustedError, load, read_with
from application.ports.face_pipeline import FacePipeline
from domain.errors import EmbedderUnavailableError, FacematchError
from domain.faces import PhotoReading

_PR_SET_PDEATHSIG: Final = 1
_MORE_EXPENDABLE: Final = 500
"""By how much the kernel, out of memory, shall rather kill this process than the one that started it."""
_MOST_EXPENDABLE: Final = 1000


def main() -> None:
    """Load the pipeline, say so, and answer requests until the other side closes."""
    settings = wire.ChildSettings.from_text(sys.argv[1])
    _die_with(settings.parent)
    _confine(settings.memory_limit)
    with socket.socket(fileno=os.dup(0)) as channel, channel.makefile("rwb") as both:
        stream = cast("BinaryIO", both)
        _point_at_nothing(sys.stdin.fileno())
        try:
            pipeline = load(settings.embedder, settings.budget, settings.model)
        except EmbedderUnavailableError as error:
            _send(stream, wire.answer(error))
            return
        _send(stream, wire.answer(None))
        _point_at_nothing(sys.stderr.fileno())  # what native decoders say there may quote the image
        while content := _receive(stream):
            _send(stream, wire.answer(_result(pipeline, content)))


def _result(pipeline: FacePipeline, content: bytes) -> PhotoReading | FacematchError:
    image, embed = wire.parse_request(content)
    try:
        return read_with(pipeline, image, embed)
    except MemoryExhaustedError:
        os._exit(wire.OUT_OF_MEMORY)
    except FacematchError as error:
        return error


def _receive(stream: BinaryIO) -> bytes:
    """Return the content of the next message; nothing when the other side has closed."""
    return stream.read(int.from_bytes(stream.read(wire.LENGTH_BYTES)))


def _send(stream: BinaryIO, message: tuple[bytes, ...]) -> None:
    stream.writelines(message)
    stream.flush()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _confine(memory_limit: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # both may reach all processes of a service; the parent decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold photographs
    with contextlib.suppress(OSError):  # where the system's processes are hidden from it, it is as expendable as others
        score = Path("/proc/self/oom_score_adj")
        score.write_text(str(min(int(score.read_text()) + _MORE_EXPENDABLE, _MOST_EXPENDABLE)))


def _point_at_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)


if __name__ == "__main__":
    main()

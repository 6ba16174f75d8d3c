"""Standard streams that are full or closed: output that cannot be written is one line on standard error and exit 1."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(Exception):
    """What a command has to say cannot be written; no use case's failure, so that none is told instead."""


class _GuardedFile(io.FileIO):
    """A file whose errors are told from those of others; of a reader who has seen enough, nothing is told."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write as much as the file takes."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise OutputError(f"standard output cannot be written to ({error.strerror})") from error


def replace_closed_stdin() -> None:
    """Let something unreadable take the place of a closed standard input, and its number before a connection does.

    Whoever reads it is told so, and nobody else notices.
    """
    if sys.stdin is None:
        nothing = io.FileIO(os.open(os.devnull, os.O_WRONLY), closefd=False)
        nothing.name = "<stdin>"
        sys.stdin = io.TextIOWrapper(io.BufferedReader(nothing), "utf-8")


@contextmanager
def guarded_stdout() -> Iterator[None]:
    """End with 1, and one line on standard error, where the block writes to a standard output that takes nothing."""
    sys.stdout = _stream()
    if sys.stderr is None:
        sys.stderr = _lost()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputError as error:
        _lead_nowhere(sys.stdout)
        sys.exit(str(error))
    except BrokenPipeError:
        _lead_nowhere(sys.stdout)
        sys.exit(1)


def _stream() -> io.TextIOWrapper:
    if sys.stdout is None:  # closed: something that cannot be written to takes its number, before a connection does
        return _over(os.open(os.devnull, os.O_RDONLY))
    return _over(sys.stdout.fileno(), sys.stdout.encoding, sys.stdout.errors, line_buffering=sys.stdout.isatty())


def _lead_nowhere(stream: IO[str]) -> None:
    """Let go what is still buffered: else Python tries to write it once more at its end, and says so from 3.13 on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _lost() -> io.TextIOWrapper:
    """Take the number of a closed standard error, before a connection does, for the processes that are started, too."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.set_inheritable(descriptor, True)
    file = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(file), "utf-8", "backslashreplace")


def _over(
    descriptor: int, encoding: str = "utf-8", errors: str | None = None, *, line_buffering: bool = False
) -> io.TextIOWrapper:
    file = io.BufferedWriter(_GuardedFile(descriptor, "wb", closefd=False))
    return io.TextIOWrapper(file, encoding, errors, line_buffering=line_buffering)

"""SIGTERM and SIGINT while a worker has nothing in hand: before its event loop listens, and after it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_BOTH: Final = (signal.SIGINT, signal.SIGTERM)
_UNDONE_FIRST: Final[list[Callable[[], None]]] = []


def end_at_once() -> None:
    """Have either signal end the process with 0, whatever it is importing."""
    for number in _BOTH:
        signal.signal(number, _end)


@contextmanager
def deferred(*, then: Callable[[], None]) -> Iterator[None]:
    """Hold signals back during the block; afterwards the first one, held or new, calls ``then`` and exits with 0."""
    if signal.getsignal(signal.SIGTERM) is not _end:
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    for number in _BOTH:
        signal.signal(number, note)
    yield
    _UNDONE_FIRST.append(then)
    end_at_once()
    if came:
        _end(came[0], None)


def ignore() -> None:
    """Have neither change anything any more: Python, which takes its time to end, has no handlers then."""
    for number in _BOTH:
        signal.signal(number, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    ignore()
    for undo in _UNDONE_FIRST:
        undo()
    os._exit(0)

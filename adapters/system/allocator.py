"""The C library's allocator."""

import contextlib
import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 1024 * 1024


def give_back_large_blocks() -> None:
    """Have memory of a photograph's size go back to the system as soon as it is free.

    Left to itself, glibc takes the size of what was freed for what will be wanted, keeps such blocks in the heaps of
    its threads, and has them lie there between smaller ones. Other C libraries have no such habit.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)

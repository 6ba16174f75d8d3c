"""The process's own memory, in which there are secrets, photographs and templates."""

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def keep_to_itself() -> None:
    """Have the kernel show it to no other process of this user, and write it to no core dump.

    The programs that this one starts write no core dumps either; the rest each has to ask for.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

"""What a process is and uses, as the kernel counts it."""

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME: Final = 11
"""Where the time is in ``/proc/PID/stat``, counted from behind the name.

The system's time follows it, and then both of the children that have ended.
"""
_FORGET_PEAK: Final = "5"
UNPRIVILEGED: Final = ("setpriv", "--bounding-set=-all", "--") if os.geteuid() == 0 else ()
"""Before a command: it is run without the rights that the administrator has over everybody's processes."""


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


def command(pid: int) -> bytes:
    """Return a process's program and arguments; nothing when it has ended.

    The kernel tells them a moment after whoever started the process goes on.
    """
    with contextlib.suppress(OSError):
        while not (told := Path(f"/proc/{pid}/cmdline").read_bytes()) and is_running(pid):
            time.sleep(0.001)
        return told
    return b""


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process's main thread has started; none when it has ended."""
    with contextlib.suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


def descendants(pid: int) -> list[int]:
    """Return the ids of a process's children, and of theirs."""
    own = children(pid)
    return own + [descendant for child in own for descendant in descendants(child)]


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has spent on a processor."""
    return sum(map(int, _stat(pid)[_USER_TIME : _USER_TIME + 2])) / _TICKS


def cpu_seconds_of_all(pid: int) -> float:
    """Return that of a process and its descendants, those that have ended included; 0 when it has ended itself."""
    try:
        own = sum(map(int, _stat(pid)[_USER_TIME : _USER_TIME + 4])) / _TICKS
    except OSError:
        return 0.0
    return own + sum(map(cpu_seconds_of_all, children(pid)))


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds now."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """Return the most bytes of memory that a process has held since :func:`forget_peak`."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begin to measure the peak anew; of a process that only root may look into, only root can."""
    with contextlib.suppress(PermissionError):
        Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def shows_its_memory(pid: int) -> bool:
    """Tell whether a process that was started :data:`UNPRIVILEGED` may be looked into by another."""
    looked = subprocess.run([*UNPRIVILEGED, "cat", f"/proc/{pid}/environ"], capture_output=True, check=False)
    return looked.returncode == 0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return int(value) * 1024

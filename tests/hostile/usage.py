"""What a process uses, as the kernel counts it."""

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME: Final = 11
"""Where the time is in ``/proc/PID/stat``, counted from behind the name; the system's time follows it."""
_FORGET_PEAK: Final = "5"


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has spent on a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[_USER_TIME : _USER_TIME + 2])) / _TICKS


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds now."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """Return the most bytes of memory that a process has held since :func:`forget_peak`."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begin to measure the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def _memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return int(value) * 1024

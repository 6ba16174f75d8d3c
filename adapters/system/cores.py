"""How many cores this process can keep busy."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Return the cores of the CPU affinity, or as many as the least CPU quota of the control groups needs, if fewer.

    ``root`` is where ``proc`` and ``sys`` are. Both versions of control groups are read, on a host as in a container:
    https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
    """
    return min([len(os.sched_getaffinity(0)), *(max(1, math.ceil(quota)) for quota in _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        # a container may see the path that its group has outside, and its own group at the top: look all the way up
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            if not controllers:
                yield from _quota(_text(groups / group / "cpu.max"))
            elif "cpu" in controllers.split(","):
                old = groups / "cpu" / group
                yield from _quota(f"{_text(old / 'cpu.cfs_quota_us')} {_text(old / 'cpu.cfs_period_us')}")


def _quota(text: str) -> Iterator[float]:
    """Give the cores of a quota and its period, both in microseconds; ``max`` and ``-1`` are no quota."""
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _text(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:
        return ""

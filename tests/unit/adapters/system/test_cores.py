"""How many cores a worker keeps busy."""

import os
from pathlib import Path

import pytest

from adapters.system.cores import usable_cores


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def write(root: Path, groups: str, limits: dict[str, str]) -> Path:
    """Lay out what the kernel shows of the process's control groups, and of their limits."""
    for name, text in {"proc/self/cgroup": groups, **limits}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "cores"),
    [
        pytest.param("0::/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2, id="a container's own group"),
        pytest.param("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 64, id="no quota"),
        pytest.param("0::/\n", {}, 64, id="the host's own group, which has no limits"),
        pytest.param("0::/\n", {"sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3, id="rounded up"),
        pytest.param("0::/\n", {"sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1, id="less than one core"),
        pytest.param("0::/\n", {"sys/fs/cgroup/cpu.max": "12800000 100000\n"}, 64, id="more than there are"),
        pytest.param(
            "0::/system.slice/face match.service\n",
            {
                "sys/fs/cgroup/system.slice/face match.service/cpu.max": "max 100000\n",
                "sys/fs/cgroup/system.slice/cpu.max": "400000 100000\n",
            },
            4,
            id="the quota of an outer group",
        ),
        pytest.param(
            "5:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f\n0::/\n",
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n"},
            3,
            id="version 1, in a container that is told the path outside",
        ),
        pytest.param(
            "3:cpuset:/\n1:cpu:/job\n",
            {"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n"},
            64,
            id="version 1, no quota",
        ),
    ],
)
def test_a_cpu_quota_is_seen(tmp_path: Path, groups: str, limits: dict[str, str], cores: int) -> None:
    """Within a quota, as many cores count as it can fill, and never more than the affinity has."""
    assert usable_cores(write(tmp_path, groups, limits)) == cores


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    """Where the kernel tells nothing, every core that the process may run on is taken."""
    assert usable_cores(tmp_path) == 64

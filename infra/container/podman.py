"""Podman with a storage of its own: what is built and run here leaves nothing behind on the machine."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from domain.errors import FacematchError

TOOLS: Final = ("podman", "runc", "mmdebstrap")
_STORAGE: Final = """[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""
# runc and low limits: what works as well where cgroups are mixed, and where limits may not be raised
_CONTAINERS: Final = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
tmp_dir = "{0}/libpod"
"""


class CommandError(FacematchError):
    """A program ended with an error; the message holds the end of what it said."""


def run(command: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it wrote to standard output.

    Raises:
        CommandError: it ended with an error, or not in time.

    """
    try:
        done = subprocess.run(  # noqa: S603 - programs and arguments are this package's own
            command, env=environment, capture_output=True, text=True, timeout=seconds, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command[:3])} took longer than {seconds:g} s") from error
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command[:3])}: exit {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


class Podman:
    """Images and containers in a temporary folder; all gone when the block ends."""

    def __init__(self) -> None:
        # not /tmp, which may be memory, or too small for an image
        self.folder = Path(tempfile.mkdtemp(prefix="facematch-image-", dir="/var/tmp"))

    def __enter__(self) -> Self:
        (self.folder / "tmp").mkdir()
        (self.folder / "storage.conf").write_text(_STORAGE.format(self.folder))
        (self.folder / "containers.conf").write_text(_CONTAINERS.format(self.folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for cleaning in (["rm", "--force", "--all"], ["unmount", "--all"]):
            self._try("podman", *cleaning)
        for mount in reversed(self._mounts()):
            self._try("umount", mount)
        if left := self._mounts():
            raise CommandError(f"still mounted, so nothing was removed: {', '.join(left)}")
        shutil.rmtree(self.folder)

    def __call__(self, *arguments: str, seconds: float = 60) -> str:
        """Run ``podman`` and return what it wrote to standard output.

        Raises:
            CommandError: it ended with an error, or not in time.

        """
        return run(["podman", *arguments], seconds=seconds, environment=self._environment())

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return what podman knows of an ``image`` or a ``container``."""
        [found] = json.loads(self(kind, "inspect", name))
        return dict(found)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def _try(self, *command: str) -> None:
        try:
            run(command, seconds=60, environment=self._environment())
        except CommandError:
            return  # what is left is looked for in the mounts

    def _mounts(self) -> list[str]:
        points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [point for point in points if point.startswith(f"{self.folder}/")]

"""``facematch``, forked off a process that has imported everything: half of a worker's start is its imports."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.e2e.command import PATIENCE_SECONDS, Done, clean_environment

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "entrypoints.program",
        "entrypoints.cli",
        "entrypoints.service",
        *(f"entrypoints.commands.{name}" for name in ("worker", "migrate", "provision", "enroll", "submit", "show")),
    ]
)


def run_forked(*arguments: str, **variables: str) -> Done:
    """Run a command as :func:`tests.e2e.command.run_process` does."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = Forked(clean_environment() | variables, arguments, out, err)
        try:
            code = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
        return Done(code, out.read_text(), err.read_text())


class Forked:
    """A process that runs ``facematch`` as its own; to be handled as a :class:`subprocess.Popen`."""

    def __init__(self, environment: Mapping[str, str], arguments: Sequence[str], out: Path, err: Path) -> None:
        self._arguments = arguments
        for file in (out, err):
            file.touch()
        self._process = _CONTEXT.Process(target=_run, args=(dict(environment), [*arguments], out, err), daemon=True)
        self._process.start()
        if self._process.pid is None:
            raise AssertionError("a process that was started has an id")
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """What it ended with; the number of a signal is negative."""
        return self.poll()

    def poll(self) -> int | None:
        """Return what it ended with, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return what it ended with, when it has ended."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(["facematch", *self._arguments], timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def _run(environment: dict[str, str], arguments: list[str], out: Path, err: Path) -> None:
    from entrypoints.program import main  # noqa: PLC0415 - whoever starts it has not imported it

    os.environ.clear()
    os.environ.update(environment)
    for file, descriptor in ((out, 1), (err, 2)):
        with file.open("ab") as stream:
            os.dup2(stream.fileno(), descriptor)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["facematch", *arguments]
    main()

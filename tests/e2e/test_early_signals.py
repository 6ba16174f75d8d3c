"""A worker that is told to end while it has nothing in hand."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.command import FACEMATCH, PATIENCE_SECONDS, clean_environment

_NO_SERVERS = {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1", "FACEMATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.4, 0.7, 1.1, 1.6, 2.2])
def test_it_ends_with_zero_and_leaves_nothing_behind(number: signal.Signals, seconds: float) -> None:
    """Whatever it is importing, and whether or not its vision processes are being made."""
    mark = str(uuid4())
    environment = clean_environment() | _NO_SERVERS | {"FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0", "MARK": mark}
    with subprocess.Popen([FACEMATCH, "worker"], env=environment, stderr=subprocess.PIPE, text=True) as worker:
        while not _has_sigterm(worker.pid, "SigCgt"):
            time.sleep(0.001)
        time.sleep(seconds)
        worker.send_signal(number)
        _, told = worker.communicate(timeout=PATIENCE_SECONDS)
    assert (worker.returncode, "Traceback" in told) == (0, False), told
    assert _processes_with(mark) == []
    assert seconds or not told, "it had not come to its log yet"


def test_its_log_says_that_it_has_stopped() -> None:
    """Also where the signal comes while it still waits for its servers."""
    with _waiting_worker() as worker:
        worker.terminate()
        _, told = worker.communicate(timeout=PATIENCE_SECONDS)
    assert worker.returncode == 0
    assert [json.loads(line)["action"] for line in told.splitlines()][-2:] == ["stopping", "stopped"]


def test_another_signal_at_its_very_end_changes_nothing() -> None:
    """Nothing is in hand any more, and Python, which takes its time to end, has given up its handlers."""
    with _waiting_worker() as worker:
        worker.terminate()
        while worker.poll() is None and not _has_sigterm(worker.pid, "SigIgn"):
            time.sleep(0.001)
        assert worker.poll() is None
        worker.terminate()
        assert worker.wait(PATIENCE_SECONDS) == 0


def test_a_signal_waits_while_something_is_begun_which_is_undone() -> None:
    """What is not known yet could not be ended."""
    code = """
import os, signal
from entrypoints.idle_signals import deferred, end_at_once

end_at_once()
with deferred(then=lambda: print("undone", flush=True)):
    os.kill(os.getpid(), signal.SIGTERM)
    print("begun", flush=True)
print("never")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["begun", "undone"]


@contextmanager
def _waiting_worker() -> Iterator[subprocess.Popen[str]]:
    """Run a worker that has said that it waits for a server."""
    environment = clean_environment() | _NO_SERVERS | {"FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0"}
    with subprocess.Popen([FACEMATCH, "worker"], env=environment, stderr=subprocess.PIPE, text=True) as worker:
        for line in worker.stderr or ():
            if "dependency down" in line:
                break
        yield worker


def _has_sigterm(pid: int, which: str) -> bool:
    """Whether it is in one of a process's sets of signals."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    signals = [int(line.split()[1], 16) for line in lines if line.startswith(which)]
    return any(held >> signal.SIGTERM - 1 & 1 for held in signals)


def _processes_with(mark: str) -> list[int]:
    """Return who has it among its variables."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found

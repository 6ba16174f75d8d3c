"""Receivers of OTLP, and a worker's telemetry in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.otlp_receiver import GrpcOtlpReceiver

_ROOT = Path(__file__).parents[3]


@attrs.frozen
class Run:
    """What the process said: its log, and what ``/metrics`` would show."""

    log: list[dict[str, Any]]
    metrics: str

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The canonical lines."""
        return [line for line in self.log if line["event"] == "job"]

    @property
    def shutdown_seconds(self) -> float:
        """How long the end of telemetry took."""
        [line] = [line for line in self.metrics.splitlines() if line.startswith("# shutdown took ")]
        return float(line.split()[3])


def run_deliveries(**environment: str) -> Run:
    """Run :mod:`tests.integration.telemetry.deliveries` with these variables."""
    foreign = ("OTEL_", "FACEMATCH_", "https_proxy", "no_proxy")  # the last two keep MediaPipe quiet in this process
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.telemetry.deliveries"],
        env={**clean, **environment},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Run([json.loads(line) for line in done.stderr.splitlines()], done.stdout)


@pytest.fixture
def receiver() -> Iterator[GrpcOtlpReceiver]:
    """Return a receiver of both protocols."""
    with GrpcOtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """Return the endpoint of a collector that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    for connection in taken:
        connection.close()

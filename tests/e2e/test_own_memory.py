"""What others can see of what a program has in its memory: photographs, templates and secrets."""

import resource
import socket
import subprocess

import pytest

from tests.e2e.command import FACEMATCH, PATIENCE_SECONDS, clean_environment
from tests.processes import UNPRIVILEGED, shows_its_memory


@pytest.mark.parametrize("command", ["worker", "migrate"])
def test_a_program_keeps_its_memory_to_itself(command: str) -> None:
    """It writes no core dump when it crashes, and no process of its user may look into it."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(PATIENCE_SECONDS)
        environment = clean_environment() | {
            "FACEMATCH_NATS_URL": "nats://127.0.0.1:1",
            "FACEMATCH_DATABASE_URL": f"postgresql://127.0.0.1:{mute.getsockname()[1]}/x",
            "FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0",
        }
        program = [*UNPRIVILEGED, "sh", "-c", f"ulimit -S -c $(ulimit -H -c); exec {FACEMATCH} {command}"]
        with subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL) as process, mute.accept()[0]:
            try:
                assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
                assert not shows_its_memory(process.pid)
            finally:
                process.kill()

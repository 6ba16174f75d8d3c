"""What a worker that crashes leaves behind."""

import resource
import subprocess

from tests.e2e.command import FACEMATCH, clean_environment

_NO_SERVERS = {"FACEMATCH_NATS_URL": "nats://127.0.0.1:1", "FACEMATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x"}


def test_a_worker_writes_no_core_dumps() -> None:
    """It has photographs and templates in its memory."""
    environment = clean_environment() | _NO_SERVERS | {"FACEMATCH_HEALTH_ADDRESS": "127.0.0.1:0"}
    command = ["sh", "-c", f"ulimit -S -c $(ulimit -H -c); exec {FACEMATCH} worker"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        for line in worker.stderr or ():
            if "dependency down" in line:
                break
        try:
            assert resource.prlimit(worker.pid, resource.RLIMIT_CORE) == (0, 0)
        finally:
            worker.terminate()

"""What a worker imports late."""

import subprocess
import sys

LATE = {"entrypoints.service", "nats", "psycopg", "minio", "opentelemetry.sdk"}


def test_a_worker_can_have_models_loaded_before_it_has_imported_everything() -> None:
    """Both take about a second, and together no longer where there are two cores."""
    program = "import sys, entrypoints.commands.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = set(done.stdout.split())
    assert "adapters.vision.processes.pool" in modules
    assert not LATE & modules

"""What a command imports, and what it leaves to those that need it."""

import subprocess
import sys

import pytest

SEEING = {"numpy", "PIL", "dlib", "mediapipe", "onnxruntime", "adapters.vision.processes.pool"}
DRIVERS = {"nats", "psycopg", "minio"}
REST = {"faiss", "matplotlib", "grpc", "opentelemetry.sdk", "application.running.process_delivery"}


@pytest.mark.parametrize(
    ("commands", "needed", "left_out"),
    [
        pytest.param("healthcheck embedders", set(), {*SEEING, *DRIVERS, *REST, "cattrs"}, id="of no server"),
        pytest.param("submit provision dead", {"nats"}, {*SEEING, "psycopg", "minio", *REST}, id="of the broker"),
        pytest.param("show migrate", {"psycopg"}, {*SEEING, "nats", "minio", *REST}, id="of the database"),
        pytest.param("status", {"nats", "psycopg"}, {*SEEING, "minio", *REST}, id="of broker and database"),
        pytest.param(
            "enroll reenroll", {"psycopg", "minio"}, {"PIL", "nats", *REST}, id="of database and object store"
        ),
        pytest.param("inspect evaluate calibrate", set(), {"PIL", *DRIVERS, *REST}, id="of photographs"),
        pytest.param(
            "worker",
            {"adapters.vision.processes.pool"},
            {"entrypoints.service", "numpy", "PIL", *DRIVERS, *REST},
            id="before models load",
        ),
    ],
)
def test_a_command_imports_only_what_it_uses(commands: str, needed: set[str], left_out: set[str]) -> None:
    """So each starts at once; and a worker has models loaded while it imports the rest, which takes as long."""
    imports = ", ".join(f"entrypoints.commands.{command}" for command in commands.split())
    program = f"import sys, {imports}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = set(done.stdout.split())
    assert needed <= modules
    assert not left_out & modules


@pytest.mark.parametrize("module", ["commands.common.sheet", "commands.demo"])
def test_a_command_that_draws_imports_no_decoder_of_its_own(module: str) -> None:
    """What strangers have uploaded is decoded by vision processes, which are given no secrets."""
    program = f"import sys, entrypoints.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"pillow_heif", "adapters.vision.pictures.decoding"} & set(done.stdout.split())


def test_no_collection_of_garbage_looks_at_modules() -> None:
    """Not while they are imported, and not afterwards, when garbage is collected as before."""
    program = """
import gc
from entrypoints.importing import importing
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info))
with importing():
    import asyncio, email, http.client
print(looks, gc.isenabled(), len(gc.get_objects()) < 1_000 < gc.get_freeze_count())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[] True True\n"

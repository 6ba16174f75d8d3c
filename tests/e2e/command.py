"""``facematch`` as tests run it: as a process, or within their own, where its start would be most of its work."""

import asyncio
import os
import subprocess
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import attrs
from typer.testing import CliRunner

from entrypoints.cli import app

FACEMATCH: Final = str(Path(sysconfig.get_path("scripts")) / "facematch")
PATIENCE_SECONDS: Final = 120.0
_ONE_AT_A_TIME: Final = threading.Lock()
"""Variables and standard streams are the whole process's."""


@attrs.frozen
class Done:
    """What a command said and ended with."""

    returncode: int
    stdout: str
    stderr: str


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of facematch and of telemetry, and without what keeps MediaPipe quiet."""
    foreign = ("FACEMATCH_", "OTEL_", "https_proxy", "no_proxy")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


def run_process(*arguments: str, **variables: str) -> Done:
    """Run a command as a process, with these variables and none of the caller's own settings."""
    environment = clean_environment() | variables
    done = subprocess.run(
        [FACEMATCH, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_cli(*arguments: str, **variables: str) -> Done:
    """Run a command as :func:`run_process` does, but in a thread, which has no event loop yet, of this process."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_invoke, arguments, variables).result()


async def facematch(environment: dict[str, str], *arguments: str) -> Done:
    """Run a command as :func:`run_cli` does, while the event loop goes on."""
    return await asyncio.to_thread(_invoke, arguments, environment)


def _invoke(arguments: tuple[str, ...], environment: dict[str, str]) -> Done:
    with _ONE_AT_A_TIME, patch.dict(os.environ, clean_environment() | environment, clear=True):
        result: Any = CliRunner().invoke(app, list(arguments), catch_exceptions=False, prog_name="facematch")
    return Done(result.exit_code, result.stdout, result.stderr)

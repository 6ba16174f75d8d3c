"""``facematch`` within the test's own process, for commands whose start takes longer than their work."""

import asyncio
import os
from typing import Any
from unittest.mock import patch

import attrs
from typer.testing import CliRunner

from entrypoints.cli import app
from tests.e2e.world import clean_environment


@attrs.frozen
class Done:
    """What a command said and ended with."""

    returncode: int
    stdout: str
    stderr: str


async def facematch(environment: dict[str, str], *arguments: str) -> Done:
    """Run a command with these variables and none of the caller's own settings, in a thread with a loop of its own."""
    return await asyncio.to_thread(_invoke, environment, arguments)


def _invoke(environment: dict[str, str], arguments: tuple[str, ...]) -> Done:
    with patch.dict(os.environ, clean_environment() | environment, clear=True):
        result: Any = CliRunner().invoke(app, list(arguments), catch_exceptions=False, prog_name="facematch")
    return Done(result.exit_code, result.stdout, result.stderr)

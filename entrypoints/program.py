"""The program ``facematch``: what has to be in force before anything is imported that takes its time."""

import os
import sys
from typing import Final

from adapters.system import own_memory
from entrypoints.idle_signals import end_at_once
from entrypoints.importing import importing
from entrypoints.terminal import interruption, output

_NOT_ASKED: Final = ("OTEL_PYTHON_CONTEXT", "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")
"""What these name OpenTelemetry would load when it is imported, in the place of what is set up here."""


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["worker"]:
        end_at_once()
    own_memory.keep_to_itself()
    for name in _NOT_ASKED:
        os.environ.pop(name, None)
    output.replace_closed_stdin()
    with output.guarded_stdout():
        try:
            with importing():
                from entrypoints.cli import app  # noqa: PLC0415 - only now is Ctrl-C answered in words
        except KeyboardInterrupt:
            interruption.end()
        app()

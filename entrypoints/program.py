"""The program ``facematch``: what has to be in force before anything is imported that takes its time."""

import sys

from entrypoints.idle_signals import end_at_once
from entrypoints.importing import imported


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["worker"]:
        end_at_once()
    imported("entrypoints.cli:app")()

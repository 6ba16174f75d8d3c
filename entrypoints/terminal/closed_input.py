"""Standard input that may be closed: whoever reads it is told so, and nobody else notices."""

import io
import os
import sys


def stand_in() -> None:
    """Where it is closed, let something that cannot be read take its place, and its number before a connection does."""
    if sys.stdin is None:
        nothing = io.FileIO(os.open(os.devnull, os.O_WRONLY), closefd=False)
        nothing.name = "<stdin>"
        sys.stdin = io.TextIOWrapper(io.BufferedReader(nothing), "utf-8")

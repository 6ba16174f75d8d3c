"""What figures are printed on."""

from rich.console import Console

_WIDTH = 150
"""Columns that the widest table needs; a file would be taken for 80, and its figures be cut short."""


def console() -> Console:
    """Return standard output, wide enough for every table."""
    return Console(width=max(Console().width, _WIDTH))

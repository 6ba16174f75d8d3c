"""A bar for whoever watches: how far it is, and how long it will take."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from entrypoints.console import err


def progress_bar(what: str) -> Progress:
    """Return a bar on standard error, to be entered and given a task."""
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=err,
    )

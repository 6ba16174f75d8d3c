"""How far something is, and how long it will take: a bar for whoever watches, lines for a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from entrypoints.console import err, is_interactive

Hears = Callable[[int, int], None]
"""Hears how many of how many are done."""
_SECONDS_BETWEEN_LINES = 15.0


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


@contextmanager
def watched(what: str) -> Iterator[Hears]:
    """Yield what hears of the progress: a bar where somebody watches, a line now and then elsewhere."""
    if not is_interactive():
        yield ProgressLines(what, err.print)
        return
    with progress_bar(what) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@attrs.define
class ProgressLines:
    """Writes lines for a log: a quick job writes none."""

    what: str
    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _started: float = attrs.field(init=False)
    _written: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the watch."""
        self._started = self._written = self.clock()

    def __call__(self, done: int, of: int) -> None:
        """Write how many of how many are done, and how long the others will take, when it is time to."""
        now = self.clock()
        if done and now - self._written >= _SECONDS_BETWEEN_LINES:
            self._written = now
            left = (now - self._started) / done * (of - done)
            self.write(f"{self.what}: {done:,} of {of:,}, about {_duration(left)} left")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

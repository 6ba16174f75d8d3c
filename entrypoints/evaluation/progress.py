"""How far the reading of photographs is, and how long it will take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from application.read_photos import Progress as Hears
from entrypoints.console import err, is_interactive
from entrypoints.progress import progress_bar

_SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def watched() -> Iterator[Hears]:
    """Yield what hears of the progress: a bar where somebody watches, a line now and then elsewhere."""
    if not is_interactive():
        yield ProgressLines(err.print)
        return
    bar = progress_bar("reading photographs")
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@attrs.define
class ProgressLines:
    """Writes lines for a log: a quick job writes none."""

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _started: float = attrs.field(init=False)
    _written: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the watch."""
        self._started = self._written = self.clock()

    def __call__(self, done: int, of: int) -> None:
        """Write how many of how many photographs are read, and how long the others will take, when it is time to."""
        now = self.clock()
        if now - self._written >= _SECONDS_BETWEEN_LINES:
            self._written = now
            left = (now - self._started) / done * (of - done)
            self.write(f"{done:,} of {of:,} photographs are read, about {_duration(left)} left")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""How far something is, and how long it will take: a bar for whoever watches, lines for a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from application.progress import Progress, StepProgress
from entrypoints.terminal.console import err, is_interactive
from entrypoints.terminal.times import in_words

_SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def watched(what: str, *, logged: bool = True) -> Iterator[Progress]:
    """Yield what hears of the progress: a bar where somebody watches, elsewhere a line now and then if ``logged``."""
    if is_interactive():
        with _bar(what) as bar:
            yield partial(bar, what)
    elif logged:
        yield ProgressLines(what, err.print)
    else:
        yield lambda _done, _of: None


@contextmanager
def watched_steps(what: str) -> Iterator[StepProgress]:
    """Yield what hears of the progress: a bar where somebody watches, a line for each step elsewhere."""
    if is_interactive():
        with _bar(what) as bar:
            yield lambda step, done, of: bar(f"{what}: {step}", done, of)
    else:
        yield StepLines(what, err.print)


@contextmanager
def _bar(what: str) -> Iterator[StepProgress]:
    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=err,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of or None)


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
            self.write(f"{self.what}: {done:,} of {of:,}, about {in_words(left)} left")


@attrs.define
class StepLines:
    """Writes a line for each step of a job, when it begins."""

    what: str
    write: Callable[[str], None]
    _begun: set[str] = attrs.field(factory=set, init=False)

    def __call__(self, step: str, _done: int, _of: int) -> None:
        """Write what is done now, once."""
        if step not in self._begun:
            self._begun.add(step)
            self.write(f"{self.what}: {step}")

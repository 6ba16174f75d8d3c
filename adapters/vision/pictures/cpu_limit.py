"""A limit on the CPU time for one picture, which the kernel keeps.

Native code that computes for ever returns to no Python code that could stop it. So the kernel ends the whole process,
by a signal that says why.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ENDS_BY: Final = signal.SIGPROF
"""What a process ends by that has reached the limit."""


@contextmanager
def cpu_limited_to(seconds: float) -> Iterator[None]:
    """Have this process end when all its threads together have computed for so long; waiting does not count."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)

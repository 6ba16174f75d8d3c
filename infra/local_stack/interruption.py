"""Being interrupted: by a key, by the system, by the terminal's end; and cleaning up all the same."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def treat_alike() -> None:
    """Raise KeyboardInterrupt for every interruption, so that ``with`` blocks are left in order."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hear no interruption within the block; only the main thread hears any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

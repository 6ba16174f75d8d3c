"""What libraries say again and again while a server is away."""

import logging
import time
from collections.abc import Callable
from typing import Final

_QUIET_SECONDS: Final = 60.0


class OncePerMinute(logging.Handler):
    """Passes one record a minute on to the root logger: a server that is away must not fill the log."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._quiet_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the first record on, and then one a minute, without its stack trace."""
        if self._now() >= self._quiet_until:
            self._quiet_until = self._now() + _QUIET_SECONDS
            record.exc_info = None
            logging.getLogger().handle(record)

    def put_before(self, name: str) -> None:
        """Make everything that a logger and those below it say pass through here, and nowhere else."""
        logger = logging.getLogger(name)
        logger.handlers = [self]
        logger.propagate = False

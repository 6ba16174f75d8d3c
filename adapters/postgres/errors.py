"""From the driver's errors to the product's: what passes, and what is a mistake."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from domain.errors import DatabaseUnavailableError

_PASSING = (
    psycopg.OperationalError,  # no connection, shutdown, too many clients, statement timeout, deadlock
    psycopg.InterfaceError,  # the connection was lost under our hands
    psycopg.errors.ReadOnlySqlTransaction,  # a fail-over left us on a replica
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise :class:`DatabaseUnavailableError` for faults that pass; let programming errors through."""
    try:
        yield
    except _PASSING as error:
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatabaseUnavailableError(f"database, {what}: {first_line}") from error

"""From the driver's errors to the product's: what passes, what is refused, and what is a mistake."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from adapters.postgres.tables.catalogue import Table
from domain.errors import (
    DatabaseForbiddenError,
    DatabaseLockedError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    DatabaseUnwritableError,
)
from domain.redaction import redact

_PASSING = (
    psycopg.OperationalError,  # no connection, shutdown, too many clients, deadlock; the pool's own
    psycopg.InterfaceError,  # the connection was lost under our hands
    psycopg.InternalError,  # ended while idle in a transaction, a server that takes no writes, a fault in it
    # The database changed under a running worker: every job meets it, and somebody can put it right.
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedTable,
)

_MISTAKEN = "42"
"""The class of SQLSTATE for statements that are wrong in themselves.

With any other the server refuses what a job writes or compares: by a column that has to be filled since a migration,
or has another dimension, by a CHECK or a trigger. Whether every job meets it, a look at the schema tells.
"""
_RELATION = re.compile('relation "(.+?)"')
_PARAMETER = re.compile(r"\$\d+ = ")
"""What comes before the value of a statement's parameter, in whatever language the server speaks."""
_NUMBER = re.compile(r"\[Errno -?\d+\] ")
"""What Python puts before the system's word for what is wrong."""
_READ_ONLY = psycopg.errors.ReadOnlySqlTransaction
_EXHAUSTED = "53"
"""The class of SQLSTATE for insufficient resources: no room on the disk, no memory, too many connections."""


def first_line(error: BaseException) -> str:
    """Return what the server or the driver said, without the query that it quotes, and without embeddings.

    A trigger of the application's may quote the row that it refuses.
    """
    return redact(_NUMBER.sub("", (str(error).splitlines() or [type(error).__name__])[0]))


def swallowed(what: str, table: Table) -> DatabaseUnavailableError:
    """Return the error for a row that should be there and is not."""
    message = f"database, {what}: no row was written into {table}, and no error told"
    return DatabaseUnavailableError(f"{message}: a trigger of the application swallows it, or a rule")


@contextmanager
def translated(what: str = "") -> Iterator[None]:
    """Raise :class:`DatabaseUnavailableError` for faults that pass and for refusals; let mistakes through, masked.

    ``what`` is the operation that failed; a connection that cannot be made, and a right that the role lacks, are not
    about any one.
    """
    where = f"database, {what}" if what else "database"
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        found = _RELATION.search(error.diag.context or "")
        row = f"a row of {found[1]}" if found else "something"
        raise DatabaseLockedError(
            f"{where}: {row} stays locked by another transaction: find its session in pg_stat_activity, end it"
        ) from error
    except _PASSING as error:
        unwritable = isinstance(error, _READ_ONLY) or (error.sqlstate or "").startswith(_EXHAUSTED)
        kind = DatabaseUnwritableError if unwritable else DatabaseUnavailableError
        setting = " (FACEMATCH_DATABASE_URL)" if error.sqlstate is None else ""  # it is about the connection
        raise kind(f"{where}: {first_line(error)}{setting}") from error
    except psycopg.DatabaseError as error:
        if function := _function(error.diag.context or ""):
            raise DatabaseRefusedError(f"{where}: refused: {first_line(error)}, in {function}") from error
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            raise DatabaseForbiddenError(f"database: {first_line(error)}") from error
        if error.sqlstate is None or error.sqlstate.startswith(_MISTAKEN):
            error.args = (first_line(error),)  # a traceback prints them; the other lines quote statements and values
            raise
        raise DatabaseRefusedError(f"{where}: refused: {first_line(error)}") from error
    except TimeoutError as error:
        raise DatabaseUnavailableError(
            f"{where}: no answer in time: look for long statements and locks in pg_stat_activity"
        ) from error


def _function(context: str) -> str:
    """Return which function an error is from, a trigger's as a rule; empty where it is from none.

    Such a function runs with the role's rights, and is the application's. The outermost is told last; after it come the
    statement's parameters, where the server is set to tell them.
    """
    told, *values = _PARAMETER.split(context, maxsplit=1)
    lines = told.splitlines()[: -1 if values else None]
    return redact(lines[-1]) if lines else ""


def is_of_a_stale_connection(error: BaseException) -> bool:
    """Tell whether a statement failed that a new connection may run, and this one will not.

    Either it was prepared before a table was altered, or the server became read-only, as one does that another takes
    the place of.
    """
    if isinstance(error, psycopg.errors.FeatureNotSupported):
        return error.diag.source_function == "RevalidateCachedQuery"
    return isinstance(error, _READ_ONLY)

"""The pool of connections, and one traced operation on it."""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress

import attrs
import psycopg
from opentelemetry import trace
from pgvector.psycopg.vector import register_vector_info
from psycopg import AsyncConnection, IsolationLevel, sql
from psycopg.rows import TupleRow
from psycopg.types import TypeInfo
from psycopg_pool import AsyncConnectionPool

from adapters.postgres.connection.commits import check_commits
from adapters.postgres.connection.conninfo import connection_string, database_name
from adapters.postgres.connection.errors import is_of_a_stale_connection, translated
from adapters.postgres.connection.statements import Cursor
from adapters.postgres.tables.catalogue import SchemaError
from adapters.postgres.tables.locks import check_locks
from adapters.postgres.tables.schema import Schema
from adapters.spans import spanned
from application.ports.face_pipeline import EmbedderInfo
from domain.errors import DatabaseUnavailableError, FacematchError

_TRACER = trace.get_tracer("facematch.postgres")
_SESSION = """
SELECT pg_catalog.pg_backend_pid(), pg_catalog.set_config('DateStyle', 'ISO', false),
       pg_catalog.set_config('TimeZone', 'UTC', false), pg_catalog.set_config('extra_float_digits', '1', false)
"""
_ALL_ROWS = "SET row_security = off"
"""Where policies would hide rows, statements fail instead: for policies that come after the look at the schema."""
_PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"
"""A worker looks rows up by their keys, whatever the values; planning for each takes a third of the search's time."""
_FAILURES = psycopg.Error, TimeoutError, FacematchError
"""By which the span of an operation fails; with any other error our own code took back what it had begun."""
_READ_COMMITTED = "read committed"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_PREPARED_AFTER = 2
Connection = AsyncConnection[TupleRow]


@attrs.frozen
class PoolUse:
    """How many connections are lent and idle, how many operations wait for one, and how many there may be."""

    used: int
    idle: int
    waiting: int
    maximum: int


class Database:
    """A pool of connections to one database, and what is known of its schema.

    ``size`` connections at most, and one more while :meth:`check` looks. An operation may take ``statement_seconds``,
    and waiting for its connection ``wait_seconds``: both are kept here, not by settings of the session, so that a
    pooler which hands one session to many clients harms nobody. For the same reason statements are prepared only where
    no pooler stands between.
    """

    name = "database"

    def __init__(self, url: str, *, size: int = 4, statement_seconds: float = 10.0, wait_seconds: float = 10.0) -> None:
        self.statement_seconds = statement_seconds
        self._conninfo = connection_string(url)
        self._namespace = database_name(self._conninfo)
        self._pool = AsyncConnectionPool(
            self._conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=wait_seconds,
            # The pool's own attempts grow rarer all the time; so it gives up soon, and the next request tries at once.
            reconnect_timeout=wait_seconds,
            open=False,
            configure=self._configure,
            kwargs={"autocommit": True, "prepare_threshold": None, "cursor_factory": Cursor},
            name="facematch",
        )
        self._info: EmbedderInfo | None = None
        self._to_work = False
        self._schema: Schema | None = None
        self._vector: TypeInfo | None = None
        self._default_isolation = _READ_COMMITTED

    @property
    def schema(self) -> Schema:
        """What was found when the pool was opened, or by the last probe after a failure."""
        if self._schema is None:
            raise SchemaError("the database is not open")
        return self._schema

    @property
    def use(self) -> PoolUse:
        """How the pool is used at this moment."""
        stats = self._pool.get_stats()
        idle = stats.get("pool_available", 0)
        return PoolUse(
            used=stats.get("pool_size", 0) - idle,
            idle=idle,
            waiting=stats.get("requests_waiting", 0),
            maximum=stats.get("pool_max", 0),
        )

    async def open(self, info: EmbedderInfo | None = None, *, to_work: bool = False) -> None:
        """Look at the schema, check it against the embedder, and open the pool.

        ``to_work`` asks for all that a worker needs: every right, and every migration. Who only asks, or enrols, may
        be a role that is not allowed to work.

        Raises:
            DatabaseUnavailableError: no answer; try again.
            SchemaError: not migrated, not allowed to work or to see every row, or a column of another dimension.

        """
        self._info, self._to_work = info, to_work
        self._schema = await self._examine()
        with translated("open"):
            await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def check(self) -> None:
        """Return when the database answers on a connection of its own, and is still as the service needs it.

        Raises:
            DatabaseUnavailableError: no answer, a commit that is not confirmed, a table that somebody keeps locked, or
                connections that have to be replaced.
            SchemaError: the schema, or what the role may do, has changed.

        """
        known = self._vector
        try:
            self._schema = await self._examine()
        finally:
            is_made_anew = known and self._vector and self._vector.oid != known.oid
            if is_made_anew:
                await self._pool.drain()
        if is_made_anew:
            raise DatabaseUnavailableError("database: the extension vector was made anew: connections are replaced")

    @asynccontextmanager
    async def operation(self, name: str, *, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection for one named operation of single statements: one span, faults translated.

        It may take ``seconds`` where it is not for a job, and looks at more than a job does.

        Raises:
            DatabaseUnavailableError: no answer in time, or a fault that passes.

        """
        async with self._lent(name, seconds or self.statement_seconds) as connection, self._read_committed(connection):
            yield connection

    @asynccontextmanager
    async def transaction(self, name: str, first: str, *, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection for one named transaction at read committed; the block's end commits, an error undoes.

        ``first`` is what it begins with: statements without parameters that go to the server together with BEGIN. It
        may take ``seconds`` where it is not for a job. A block that rolls back leaves nothing to commit.

        Raises:
            DatabaseUnavailableError: no answer in time, or a fault that passes.

        """
        async with self._lent(name, seconds or self.statement_seconds) as connection:
            await connection.execute(f"{_BEGIN}; {first}".encode(), prepare=False)
            yield connection
            await connection.commit()

    @asynccontextmanager
    async def _lent(self, name: str, seconds: float) -> AsyncIterator[Connection]:
        attributes = {"db.system.name": "postgresql", "db.operation.name": name, "db.namespace": self._namespace}
        span = f"{name} {self._namespace}"
        with translated(name), spanned(_TRACER, span, trace.SpanKind.CLIENT, attributes, failures=_FAILURES):
            connection = await self._borrow()
            try:
                async with asyncio.timeout(seconds):
                    yield connection
            except BaseException as error:
                with suppress(Exception):  # what cannot be undone, the pool throws away
                    await connection.rollback()
                if is_of_a_stale_connection(error):
                    await self._pool.drain()
                raise
            finally:
                await self._pool.putconn(connection)

    async def _borrow(self) -> Connection:
        """Return a connection that has not ended while it lay in the pool.

        The pool's own check asks the server each time, and waits longer after every dead connection that it meets:
        after a restart of the server all are dead.
        """
        while True:
            connection = await self._pool.getconn()
            if not _has_news(connection):
                return connection
            try:
                await connection.close()
            finally:
                await self._pool.putconn(connection)

    def _read_committed(self, connection: Connection) -> AbstractAsyncContextManager[object]:
        """Run single statements at read committed too: where that is not the default, in a transaction of their own."""
        return nullcontext() if self._default_isolation == _READ_COMMITTED else connection.transaction()

    async def _examine(self) -> Schema:
        with translated():
            async with (
                asyncio.timeout(self.statement_seconds),
                await AsyncConnection.connect(self._conninfo, autocommit=True) as connection,
            ):
                schema = await Schema.resolve(connection)
                if self._to_work:
                    await schema.check_worker(connection)
                    await check_locks(connection, schema)
                    await check_commits(connection, seconds=self.statement_seconds / 2)
                self._vector = await TypeInfo.fetch(connection, sql.Identifier(schema.vector_schema, "vector"))
                row = await (await connection.execute("SHOW default_transaction_isolation")).fetchone()
        self._default_isolation = row[0] if row is not None else ""
        if self._info is not None:
            schema.check_dimension(self._info)
        return schema

    async def _configure(self, connection: Connection) -> None:
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        row = await (await connection.execute(_SESSION)).fetchone()
        # A pooler introduces itself with a number of its own, and another session may answer the next statement.
        if row is not None and row[0] == connection.info.backend_pid:
            connection.prepare_threshold = _PREPARED_AFTER
            await connection.execute(_ALL_ROWS)
            if self._to_work:
                await connection.execute(_PLAN_ONCE)
        register_vector_info(connection, self._vector)


def _has_news(connection: Connection) -> bool:
    """Tell whether the server has said something to an idle connection: nearly always that it has ended."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))

"""The pool of connections, and one traced operation on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from opentelemetry import trace
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from adapters.postgres.errors import translated
from adapters.postgres.schema import Schema, SchemaError
from application.ports.face_pipeline import EmbedderInfo
from domain.errors import DatabaseUnavailableError

_TRACER = trace.get_tracer("facematch.postgres")
_CONNECT_SECONDS = 5
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
Connection = AsyncConnection[TupleRow]


class Database:
    """A pool of connections to one database, and what is known of its schema.

    ``size`` connections at most; a statement may take ``statement_seconds``, and waiting for a connection
    ``wait_seconds``.
    """

    name = "database"

    def __init__(self, url: str, *, size: int = 4, statement_seconds: float = 10.0, wait_seconds: float = 10.0) -> None:
        self._statement_ms = int(statement_seconds * 1000)
        self._conninfo = make_conninfo(
            url, connect_timeout=_CONNECT_SECONDS, application_name="facematch", **_KEEPALIVE
        )
        self._namespace = str(conninfo_to_dict(self._conninfo).get("dbname", ""))
        self._pool = AsyncConnectionPool(
            self._conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=wait_seconds,
            open=False,
            configure=self._configure,
            check=AsyncConnectionPool.check_connection,
            kwargs={"autocommit": True},
            name="facematch",
        )
        self._schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """What was found when the pool was opened."""
        if self._schema is None:
            raise SchemaError("the database is not open")
        return self._schema

    async def open(self, info: EmbedderInfo | None = None) -> None:
        """Look at the schema, check it against the embedder, and open the pool.

        Raises:
            DatabaseUnavailableError: no answer; try again.
            SchemaError: not migrated, or a column of another dimension.

        """
        with translated("connect"):
            async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                schema = await Schema.resolve(connection)
            if info is not None:
                schema.check_dimension(info)
            if self._pool.closed:
                await self._pool.open()
        self._schema = schema

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def check(self) -> None:
        """Return when the database answers on a connection of its own."""
        with translated("check"):
            async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                await connection.execute("SELECT 1")

    @asynccontextmanager
    async def operation(self, name: str) -> AsyncIterator[Connection]:
        """Lend a connection for one named operation: one span, faults translated.

        Raises:
            DatabaseUnavailableError: no answer, or a fault that passes.

        """
        attributes = {"db.system.name": "postgresql", "db.operation.name": name, "db.namespace": self._namespace}
        with _TRACER.start_as_current_span(
            f"{name} {self._namespace}", kind=trace.SpanKind.CLIENT, attributes=attributes, record_exception=False
        ) as span:
            try:
                with translated(name):
                    async with self._pool.connection() as connection:
                        yield connection
            except DatabaseUnavailableError as error:
                span.set_attribute("error.type", type(error.__cause__).__name__)
                raise

    async def _configure(self, connection: Connection) -> None:
        await connection.execute(f"SET statement_timeout = {self._statement_ms}".encode())
        try:
            await register_vector_async(connection)
        except psycopg.ProgrammingError as error:
            raise SchemaError("the database has no type vector: run `facematch migrate`") from error
